"""Time every optimizer step, without evaluation, saving and logging."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from statistics import median
from typing import Any

from ohlora.measure.clock import Clock
from ohlora.tasks.job import Job
from ohlora.training.batches import Batch, Collator

PARITY_STEPS = 4  # steps 0–3: the first loss alone does not depend on the adapter, since lora_B starts at zero


class StepTimer:
    """Times steps and writes the curves.

    `batches_of` returns the number of batches in a step, `was_skipped` whether the loss scaler of float16
    skipped the last update.
    """

    def __init__(
        self, job: Job, collator: Collator, device: str, warm_steps: int, batches_of: Callable[[int], int]
    ) -> None:
        self.job, self.collator, self.warm_steps, self.batches_of = job, collator, warm_steps, batches_of
        self.clock = Clock(device)
        self.seconds: list[float] = []
        self.losses: list[float] = []
        self.grad_norms: list[float] = []
        self.fed: list[list[Batch]] = []
        self.nonfinite: set[int] = set()
        self.skipped: list[int] = []
        self.was_skipped: Callable[[], bool] = lambda: False  # asked once after every step
        self._started = 0.0
        self._taken = 0

    def metrics(self) -> dict[str, float]:
        """Times in s, throughputs in tokens/s over the warm steps; defined in docs/result.md."""
        times, timed = self.warm()
        fed = [batch for step in self.fed for batch in step]
        found = {
            "train_time_s": sum(self.seconds),
            "train_warm_time_s": sum(times),
            "train_warm_step_s": median(times),
            "train_first_step_s": self.seconds[0],
            "train_tokens_per_s": sum(b.tokens for b in timed) / sum(times),
            "train_loss_tokens_per_s": sum(b.loss_tokens for b in timed) / sum(times),
            "train_positions_per_s": sum(b.positions for b in timed) / sum(times),
            "padding_ratio": 1 - sum(b.tokens for b in fed) / sum(b.positions for b in fed),
            "train_steps": len(self.seconds),
            "train_tokens": sum(b.tokens for b in fed),
            "nonfinite_steps": len(self.nonfinite),
            "skipped_steps": len(self.skipped),
        }
        if len(self.seconds) > 1:
            found["train_compile_s"] = max(0.0, self.seconds[0] - median(times))
        if self.losses:
            found["train_loss"] = self.losses[-1]
        return found

    def warm(self) -> tuple[list[float], list[Batch]]:
        """Times of the steps after the warm-up (at least the last one), and their batches."""
        first = min(self.warm_steps, len(self.seconds) - 1)
        return self.seconds[first:], [batch for step in self.fed[first:] for batch in step]

    def batches_hash(self) -> str:
        """One hash over all batches used, in order."""
        return hashlib.sha256("".join(batch.hash for step in self.fed for batch in step).encode()).hexdigest()

    def parity(self) -> dict[str, Any]:
        """What must be equal in another arm: the first losses and gradient norms, and the batches of every step."""
        steps = ["".join(batch.hash for batch in step) for step in self.fed]
        return {
            "losses": self.losses[:PARITY_STEPS],
            "grad_norms": self.grad_norms[:PARITY_STEPS],
            "scaler_skipped_steps": self.skipped,
            "batches": [hashlib.sha256(step.encode()).hexdigest()[:12] for step in steps],
        }

    def callback(self) -> Any:
        """The transformers callback, defined here because transformers is imported only in the child."""
        from transformers import TrainerCallback

        timer = self

        class Timed(TrainerCallback):
            def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                timer.job.stage("training", total=state.max_steps, unit="step")

            def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                timer.begin()

            def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                timer.end(state.global_step)

            def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
                timer.log(state.global_step, logs or {})

        return Timed()

    def begin(self) -> None:
        self._started = self.clock.now()

    def end(self, step: int) -> None:
        self.seconds.append(self.clock.now() - self._started)
        count = self.batches_of(step)
        self.fed.append(self.collator.made[self._taken : self._taken + count])
        assert len(self.fed[-1]) == count, f"step {step} took {count} batches, {len(self.fed[-1])} were made"
        self._taken += count
        if self.was_skipped():
            self.skipped.append(step)
        self.job.metric("train/step_s", self.seconds[-1], step=step)

    def log(self, step: int, logs: dict[str, Any]) -> None:
        for name, key in (("loss", "train/loss"), ("grad_norm", "train/grad_norm"), ("learning_rate", "train/lr")):
            if name in logs:
                self.job.metric(key, float(logs[name]), step=step)
                overflow = name == "grad_norm" and step in self.skipped  # why the float16 scaler skipped the step
                if not math.isfinite(float(logs[name])) and not overflow:
                    self.nonfinite.add(step)
        if "grad_norm" in logs:
            self.grad_norms.append(float(logs["grad_norm"]))
        if "loss" in logs:
            self.losses.append(float(logs["loss"]))
            self.job.advance(step, loss=self.losses[-1])


class SkippedSteps:
    """Did the loss scaler of float16 throw the last update away? To be asked once after every optimizer step.

    It lowers its scale exactly then. Accelerate's `optimizer_step_was_skipped` asks whether the optimizer was called,
    which a fused one always is: it leaves the update out by itself (torch.amp.GradScaler.step).
    """

    def __init__(self, accelerator: Any) -> None:
        self._accelerator = accelerator
        self._scale = self._read_scale()

    def __call__(self) -> bool:
        before, self._scale = self._scale, self._read_scale()
        return before is not None and self._scale is not None and self._scale < before

    def _read_scale(self) -> float | None:
        """None in a precision that needs no scaler. Waits for the device."""
        scaler = getattr(self._accelerator, "scaler", None)
        return None if scaler is None else float(scaler.get_scale())
