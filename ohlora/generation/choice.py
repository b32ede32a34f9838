"""The next token of each row of a batch: repetition penalty, temperature, top_k, top_p, then one draw.

A row's draws are numbers made on the CPU from the row's own seed, one for each token, so that neither the other rows of
the batch nor the device decide them. transformers draws for all rows from one generator, and its top_p sorts the whole
vocabulary (262,144 tokens of Gemma) even after top_k.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from ohlora.config.schema import DecodingConfig


def seed_of(seed: int, question: str, attempt: int = 0) -> int:
    """The seed of one answer: the run's seed, the question's id and how often it was asked again, mixed by a hash."""
    digest = hashlib.sha256(f"{seed}/{attempt}/{question}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1  # torch takes 63 bits on every platform


class Chooser:
    """Chooses tokens for one batch of prompts. Shapes: `ids` and `mask` [rows, width], padded on the left."""

    def __init__(self, decoding: DecodingConfig, ids: Any, mask: Any, seeds: Sequence[int], most: int) -> None:
        import torch

        self.decoding = decoding
        starts = (mask.shape[1] - mask.sum(1)).unsqueeze(1)
        self.prompts = torch.where(mask.bool(), ids, ids.gather(1, starts))  # else padding would be penalised
        self.width = ids.shape[1]
        if decoding.do_sample:
            rows = [torch.rand(most, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
            self.draws = torch.stack(rows).to(ids.device)

    def __call__(self, rows: list[int], answered: Any, logits: Any) -> Any:
        """The chosen tokens [len(rows)] after the tokens `answered` [len(rows), steps], of the batch's `rows`."""
        d = self.decoding
        if d.repetition_penalty != 1.0:
            import torch
            from transformers import RepetitionPenaltyLogitsProcessor

            said = torch.cat([self.prompts[rows], answered], dim=1)
            logits = RepetitionPenaltyLogitsProcessor(d.repetition_penalty)(said, logits)
        if not d.do_sample:
            return logits.argmax(1)
        return draw(logits / d.temperature, d.top_k, d.top_p, self.draws[rows, answered.shape[1]])

    def as_processor(self) -> Any:
        """The same choice inside a model's own `generate`: all other tokens are ruled out."""
        import torch

        def process(input_ids: Any, scores: Any) -> Any:
            answered = input_ids[:, self.width :]
            chosen = self(list(range(len(scores))), answered, scores.float())
            return torch.full_like(scores, -torch.inf).scatter_(1, chosen.unsqueeze(1), 0.0)

        return process


def draw(logits: Any, top_k: int, top_p: float, uniform: Any) -> Any:
    """One token of each row [rows], by the row's number in `uniform` [rows], from 0 to below 1.

    top_k: only the likeliest so many (0: all); top_p: of these the fewest that together have this probability.
    Tokens are laid out by their id, so that rounding, which differs with the size of a batch, cannot exchange two.
    """
    import torch

    size = logits.shape[1]
    if not 0 < top_k < size and top_p >= 1:
        sums = logits.double().softmax(1).cumsum(1)
        return _find(sums, uniform)
    values, ids = logits.topk(min(top_k or size, size))
    shares = values.double().softmax(1)
    if top_p < 1:
        shares = shares.masked_fill(shares.cumsum(1) - shares >= top_p, 0.0)
    ids, order = ids.sort(1)
    found = _find(shares.gather(1, order).cumsum(1), uniform)
    return torch.gather(ids, 1, found.unsqueeze(1))[:, 0]


def _find(sums: Any, uniform: Any) -> Any:
    """The first place of each row whose sum is above the row's number."""
    import torch

    wanted = uniform.double().unsqueeze(1) * sums[:, -1:]
    return torch.searchsorted(sums, wanted, right=True)[:, 0].clamp(max=sums.shape[1] - 1)
