"""The time of every optimizer step, taken outside evaluation, saving and logging."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ohlora.job import Job
from ohlora.measure.clock import Clock
from ohlora.training.batches import BatchCount, Collator


class StepTimer:
    """Times steps, writes the curves, asks for an evaluation after each epoch but the last."""

    def __init__(self, job: Job, collator: Collator, device: str, warm_steps: int) -> None:
        self.job, self.collator, self.warm_steps = job, collator, warm_steps
        self.clock = Clock(device)
        self.seconds: list[float] = []
        self.losses: list[float] = []
        self.batches_of_step: list[list[BatchCount]] = []
        self.on_epoch: Callable[[int], float | None] = lambda step: None
        self._started = 0.0
        self._batches_seen = 0

    def metrics(self) -> dict[str, float]:
        """Times in s, throughputs in tokens/s over the warm steps; docs/result.md defines each."""
        warm = min(self.warm_steps, len(self.seconds) - 1)
        times, counts = self.seconds[warm:], [count for step in self.batches_of_step[warm:] for count in step]
        fed = [count for step in self.batches_of_step for count in step]
        found = {
            "train_time_s": sum(self.seconds),
            "train_warm_time_s": sum(times),
            "train_first_step_s": self.seconds[0],
            "train_tokens_per_s": sum(c.tokens for c in counts) / sum(times),
            "train_loss_tokens_per_s": sum(c.loss_tokens for c in counts) / sum(times),
            "padding_ratio": 1 - sum(c.tokens for c in fed) / sum(c.positions for c in fed),
            "train_steps": len(self.seconds),
            "train_tokens": sum(c.tokens for c in fed),
        }
        if self.losses:
            found["train_loss"] = self.losses[-1]
        return found

    def callback(self) -> Any:
        """The transformers callback; its class exists only where transformers is imported."""
        from transformers import TrainerCallback

        timer = self

        class Timed(TrainerCallback):
            def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                timer.job.stage("training", total=state.max_steps, unit="step")

            def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                timer.begin()

            def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                timer.end(state.global_step)

            def on_log(
                self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any
            ) -> None:
                timer.log(state.global_step, logs or {})

            def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                if state.global_step < state.max_steps:
                    timer.on_epoch(state.global_step)

        return Timed()

    def begin(self) -> None:
        self._started = self.clock.now()

    def end(self, step: int) -> None:
        self.seconds.append(self.clock.now() - self._started)
        self.batches_of_step.append(self.collator.counts[self._batches_seen :])
        self._batches_seen = len(self.collator.counts)
        self.job.metric("train/step_s", self.seconds[-1], step=step)

    def log(self, step: int, logs: dict[str, float]) -> None:
        for name, key in (("loss", "train/loss"), ("grad_norm", "train/grad_norm"), ("learning_rate", "train/lr")):
            if name in logs:
                self.job.metric(key, float(logs[name]), step=step)
        if "loss" in logs:
            self.losses.append(float(logs["loss"]))
            self.job.advance(step, loss=self.losses[-1])
