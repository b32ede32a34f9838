"""Held-out rows without an answer: no eval loss, and the right prompt to answer, also after several turns.

Run: python -m pytest tests/unit/test_prompt_rows.py
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from ohlora.data.tokens import IGNORED, Example
from ohlora.training.evaluate import evaluate, has_loss

NO = IGNORED
ANSWERED = Example("a", [2, 5, 6, 7, 1], [NO, NO, 6, 7, 1])
ASKED = Example("b", [2, 5, 6, 7], [NO] * 4)


class Bigram(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Parameter(torch.randn(8, 8, generator=torch.Generator().manual_seed(1)))

    def forward(self, input_ids: torch.Tensor, **_: object) -> SimpleNamespace:
        return SimpleNamespace(logits=self.table[input_ids])


def test_rows_without_an_answer_carry_no_loss() -> None:
    assert has_loss(ANSWERED) and not has_loss(ASKED)
    alone = evaluate(Bigram(), [ANSWERED])
    assert evaluate(Bigram(), [ASKED, ANSWERED, ASKED]) == pytest.approx(alone)


@pytest.mark.parametrize(
    ("ids", "labels", "prompt"),
    [
        ([2, 5, 6, 7, 1], [NO, NO, 6, 7, 1], [2, 5]),
        ([2, 5, 6, 7], [NO] * 4, [2, 5, 6, 7]),
        ([2, 5, 6, 1, 4, 7, 1], [NO, NO, 6, 1, NO, 7, 1], [2, 5, 6, 1, 4]),  # loss on every assistant turn
        ([2, 5, 6, 1, 4, 7, 1], [NO, NO, NO, NO, NO, 7, 1], [2, 5, 6, 1, 4]),  # on the last
        ([2, 5, 6, 1, 3], [NO, NO, 6, 1, NO], [2, 5]),  # a template that writes something after the answer
    ],
)
def test_the_prompt_is_all_before_the_last_answer(ids: list[int], labels: list[int], prompt: list[int]) -> None:
    assert Example("x", ids, labels).prompt == prompt
