"""Numbers against what is known: step times, tokens and losses against their definitions."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from ohlora.data.tokens import Example
from ohlora.tasks.job import Job
from ohlora.training.batches import Collator, batches_of_step
from ohlora.training.evaluate import evaluate
from ohlora.training.steps import SkippedSteps, StepTimer


def test_batches_are_padded_masked_and_counted() -> None:
    collator = Collator(pad_id=9)
    rows = [{"input_ids": [2, 5, 6, 1], "labels": [-100, -100, 6, 1]}, {"input_ids": [2, 1], "labels": [-100, 1]}]
    batch = collator(rows)
    assert batch["input_ids"].tolist() == [[2, 5, 6, 1], [2, 1, 9, 9]]
    assert batch["labels"].tolist() == [[-100, -100, 6, 1], [-100, 1, -100, -100]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    collator(rows[::-1])
    first, second = collator.made
    assert (first.positions, first.tokens, first.loss_tokens) == (8, 6, 3)
    assert first.hash != second.hash


@pytest.mark.parametrize(
    ("rows", "batch_size", "accumulation", "taken"),
    [
        (20, 2, 1, [1] * 12),
        (5, 2, 1, [1, 1, 1, 1]),
        (10, 2, 2, [2, 2, 1, 2, 2, 1]),
        (4, 2, 4, [2, 2]),
        (1, 4, 1, [1, 1]),
    ],
)
def test_how_many_batches_a_step_takes(rows: int, batch_size: int, accumulation: int, taken: list[int]) -> None:
    steps = range(1, len(taken) + 1)
    assert [batches_of_step(step, rows, batch_size, accumulation) for step in steps] == taken


def test_step_metrics_follow_their_definitions(tmp_path: Path) -> None:
    events: list[dict] = []
    job = Job(None, tmp_path, "train", events.append, io.StringIO())  # type: ignore[arg-type]
    collator = Collator(0)
    timer = StepTimer(job, collator, "cpu", warm_steps=1, batches_of=lambda step: 1)
    times = iter([0.0, 10.0, 20.0, 22.0, 30.0, 32.0])
    timer.clock.now = lambda: next(times)  # type: ignore[method-assign]
    for _ in range(2):  # the loader makes one batch ahead of the steps
        collator([{"input_ids": [1, 2, 3], "labels": [-100, 2, 3]}, {"input_ids": [1], "labels": [1]}])
    for step in (1, 2, 3):
        collator([{"input_ids": [1, 2, 3], "labels": [-100, 2, 3]}, {"input_ids": [1], "labels": [1]}])
        timer.begin()
        timer.end(step)
        timer.log(step, {"loss": 4.0 - step, "grad_norm": 1.0, "learning_rate": 0.1})
    found = timer.metrics()
    assert found["train_time_s"] == 14 and found["train_warm_time_s"] == 4 and found["train_first_step_s"] == 10
    assert found["train_tokens_per_s"] == 8 / 4 and found["train_loss_tokens_per_s"] == 4 / 4
    assert found["train_positions_per_s"] == 12 / 4 and found["train_warm_step_s"] == 2
    assert found["train_compile_s"] == 8 and timer.warm() == ([2, 2], collator.made[1:3])
    assert found["nonfinite_steps"] == found["skipped_steps"] == 0
    assert found["padding_ratio"] == pytest.approx(1 - 4 / 6) and found["train_steps"] == 3
    assert found["train_loss"] == 1.0 and events[-1] == {"event": "progress", "done": 3, "loss": 1.0}


def test_steps_that_overflowed_are_counted(tmp_path: Path) -> None:
    """As on a T4: the loss is finite, the gradient is not, and the loss scaler throws the update away."""
    job = Job(None, tmp_path, "train", lambda event: None, io.StringIO())  # type: ignore[arg-type]
    collator = Collator(0)
    timer = StepTimer(job, collator, "cpu", warm_steps=1, batches_of=lambda step: 1)
    skipped = iter([True, True, False, False])
    timer.was_skipped = lambda: next(skipped)
    logged = [(2.0, float("inf")), (float("nan"), float("nan")), (2.0, 1.0), (float("nan"), 1.0)]
    for step, (loss, norm) in enumerate(logged, 1):
        collator([{"input_ids": [1, 2], "labels": [1, 2]}])
        timer.begin()
        timer.end(step)
        timer.log(step, {"loss": loss, "grad_norm": norm})
    found = timer.metrics()
    assert (found["nonfinite_steps"], found["skipped_steps"]) == (2, 2)  # two losses, and no skipped step


@pytest.mark.parametrize("fused", [True, False])
def test_a_skipped_update_is_found_whatever_the_optimizer(fused: bool) -> None:
    """torch's own scaler and AdamW, as accelerate drives them; a fused AdamW is called even for a skipped step."""
    weight = torch.nn.Parameter(torch.ones(4))
    optimizer, scaler = torch.optim.AdamW([weight], lr=0.1, fused=fused), torch.amp.GradScaler("cpu")
    skipped = SkippedSteps(SimpleNamespace(scaler=scaler))
    found, changed = [], []
    for factor in (float("inf"), float("nan"), 1.0, float("inf"), 1.0):
        before = weight.detach().clone()
        scaler.scale((weight * factor).sum()).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_([weight], 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        found.append(skipped())
        changed.append(not torch.equal(before, weight))
    assert found == [True, True, False, True, False] and changed == [not one for one in found]


def test_without_a_scaler_no_step_is_skipped() -> None:
    skipped = SkippedSteps(SimpleNamespace(scaler=None))
    assert not skipped() and not skipped()


def test_one_step_alone_tells_nothing_of_compilation(tmp_path: Path) -> None:
    job = Job(None, tmp_path, "train", lambda event: None, io.StringIO())  # type: ignore[arg-type]
    collator = Collator(0)
    timer = StepTimer(job, collator, "cpu", warm_steps=1, batches_of=lambda step: 1)
    collator([{"input_ids": [1, 2], "labels": [1, 2]}])
    timer.begin()
    timer.end(1)
    found = timer.metrics()
    assert found["train_warm_step_s"] == found["train_first_step_s"] and "train_compile_s" not in found


def test_eval_loss_is_weighted_by_tokens() -> None:
    """Against cross entropy summed by hand over every loss-carrying token, whatever the batches."""

    class Bigram(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.nn.Parameter(torch.randn(8, 8, generator=torch.Generator().manual_seed(1)))

        def forward(self, input_ids: torch.Tensor, **_: object) -> object:
            return type("Output", (), {"logits": self.table[input_ids]})

    model = Bigram()
    examples = [Example("a", [2, 3, 4, 5, 1], [-100, -100, 4, 5, 1]), Example("b", [2, 1], [-100, 1])]
    by_hand = [-torch.log_softmax(model.table[a], 0)[b].item() for a, b in ((3, 4), (4, 5), (5, 1), (2, 1))]
    assert evaluate(model, examples) == pytest.approx(sum(by_hand) / 4, rel=1e-6)
    assert not model.training
