"""Between two steps of training: evaluate, keep the best adapter, stop when nothing improves. None of it is timed."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

from ohlora.backends.effective import adapter_parameters
from ohlora.config.choices import Keep
from ohlora.config.schema import TrainerConfig


class SavedWeights:
    """The adapter's weights in a file: in memory a second copy would count as memory that training needs."""

    def __init__(self, model: Any, path: Path) -> None:
        self.model, self.path = model, path

    def save(self) -> None:
        """Replace what was saved before."""
        from safetensors.torch import save_file

        self.path.parent.mkdir(parents=True, exist_ok=True)
        weights = {name: parameter.detach().contiguous() for name, parameter in adapter_parameters(self.model)}
        save_file(weights, self.path)

    def restore(self) -> None:
        """Put the saved weights back into the model and remove the file."""
        import torch
        from safetensors.torch import load_file

        saved = load_file(self.path)
        with torch.no_grad():
            for name, parameter in adapter_parameters(self.model):
                parameter.copy_(saved[name])
        self.path.unlink()


class Monitor:
    """Evaluates after every epoch, or every `trainer.eval_every` steps, and after the last step.

    `evaluate`: the eval loss (nats/token) of the model at a step, None without rows to evaluate; `sample`: called every
    `trainer.sample_every` steps. `best_step` and `best_loss` are those of the lowest finite loss so far.
    """

    def __init__(
        self,
        settings: TrainerConfig,
        evaluate: Callable[[int], float | None],
        sample: Callable[[int], object],
        saved: SavedWeights,
    ) -> None:
        self.settings, self.evaluate, self.sample, self.saved = settings, evaluate, sample, saved
        self.best_step: int | None = None
        self.best_loss = inf
        self.last_loss: float | None = None
        self.stopped_early = False
        self._evaluated = 0  # the step of the last evaluation
        self._without_gain = 0

    def after_step(self, step: int, last: int) -> bool:
        """True: stop training. `last`: the last planned step, which `finish` evaluates."""
        if self.settings.sample_every and step % self.settings.sample_every == 0 and step < last:
            self.sample(step)
        every = self.settings.eval_every
        return every is not None and step % every == 0 and step < last and self._check(step)

    def after_epoch(self, step: int, last: int) -> bool:
        """True: stop training."""
        return not self.settings.eval_every and step < last and self._check(step)

    def finish(self, step: int) -> float | None:
        """Evaluate the last step, then restore the adapter to keep; return its eval loss."""
        if step > self._evaluated:
            self._judge(step)
        if self.settings.keep is not Keep.best or self.best_step is None:
            return self.last_loss
        self.saved.restore()
        return self.best_loss

    def metrics(self) -> dict[str, float]:
        """Defined in docs/result.md."""
        found: dict[str, float] = {} if self.best_step is None else {"best_step": self.best_step}
        return found if self.settings.patience is None else {**found, "stopped_early": int(self.stopped_early)}

    def describe(self, steps: int) -> str | None:
        """What the user should know of the adapter that is saved, in one line; None where nothing was chosen."""
        if self.best_step is None:
            return None
        best = f"the lowest eval loss, {self.best_loss:.3f}, was at step {self.best_step} of {steps}"
        kept = "that adapter is saved" if self.settings.keep is Keep.best else "the last adapter is saved"
        if self.stopped_early:
            return f"stopped early by trainer.patience={self.settings.patience}; {best}; {kept}"
        return f"{best}; {kept}" if self.settings.keep is Keep.best else None

    def _check(self, step: int) -> bool:
        self._judge(step)
        patience = self.settings.patience
        self.stopped_early = patience is not None and self._without_gain >= patience
        return self.stopped_early

    def _judge(self, step: int) -> None:
        """A loss that is not finite is never the best."""
        self.last_loss, self._evaluated = self.evaluate(step), step
        if self.last_loss is None:
            return
        if self.last_loss < self.best_loss:
            self.best_step, self.best_loss, self._without_gain = step, self.last_loss, 0
            if self.settings.keep is Keep.best:
                self.saved.save()
        else:
            self._without_gain += 1

    def callback(self) -> Any:
        """The transformers callback, defined here because transformers is imported only in the child."""
        from transformers import TrainerCallback

        monitor = self

        class Monitoring(TrainerCallback):
            def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                if monitor.after_step(state.global_step, state.max_steps):
                    control.should_training_stop = True

            def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                if monitor.after_epoch(state.global_step, state.max_steps):
                    control.should_training_stop = True

        return Monitoring()
