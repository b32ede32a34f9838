"""Does a run fit on its device? If not, which change would make it fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Literal

from ohlora.backends import backends
from ohlora.config.group import list_models
from ohlora.config.schema import Attention, Config, LoraMethod, Loss, Preflight, Quantization
from ohlora.config.tasks import TASKS
from ohlora.data.tokens import Tokens
from ohlora.estimate.capacity import Capacity, capacity
from ohlora.estimate.parts import Asked, Parts, peak, phases
from ohlora.estimate.shape import shape_of
from ohlora.estimate.work import Work, counted, work_of
from ohlora.models import architectures
from ohlora.models.folder import model_folder

ERROR = 0.15  # how far the estimate may be off; experiments/fit-estimate measures it
SMALL_RANK = 16
Verdict = Literal["fits", "tight", "too large", "unknown"]


@dataclass(frozen=True)
class Estimate:
    """Phase -> part -> MiB, what there is, and the work that it was made for.

    `is_bound`: the back end may take less than this, so nothing is refused by it.
    """

    phases: dict[str, Parts]
    there: Capacity
    work: Work
    is_bound: bool = False

    def peak(self, phase: str) -> float:
        """MiB, as the run measures it."""
        return peak(self.phases[phase])

    @property
    def needed(self) -> float:
        """MiB of the device at the worst phase, the driver's context included."""
        return max(sum(parts.values()) for parts in self.phases.values())

    @property
    def verdict(self) -> Verdict:
        """`too large`: not even an estimate that is too high by its error would fit; `tight`: it may."""
        if self.there.mib is None:
            return "unknown"
        if self.needed * (1 - ERROR) > self.there.mib and not self.is_bound:
            return "too large"
        return "tight" if self.needed * (1 + ERROR) > self.there.mib else "fits"


def estimate(config: Config, there: Capacity | None = None, tokens: Tokens | None = None) -> Estimate | None:
    """The estimate of this run's task; None where the shape of its model is not known.

    `there` is asked for unless it is given; `tokens` are counted where they are there, else guessed from the text.
    """
    folder = model_folder(config)
    folder_there = folder if folder.is_dir() else None
    shape = shape_of(config, folder_there)
    if shape is None:
        return None
    there = there or capacity(config)
    work = counted(tokens, config) if tokens else work_of(config)
    attention = architectures.attention(config, folder_there)
    targets = architectures.lora_targets(config, folder_there)
    asked = Asked(
        backend=backends()[config.backend.name],
        device=there.device,
        dtype=there.dtype,
        quantization=config.lora.quantization,
        attention=attention if attention is not Attention.auto else Attention.sdpa,
        method=config.lora.method,
        rank=config.lora.rank,
        targets=tuple(targets),
        loss=config.trainer.loss,
        checkpointing=config.trainer.gradient_checkpointing,
        optimizer=config.trainer.optimizer,
    )
    found = phases(shape, work, asked)
    if config.task.name in TASKS and TASKS[config.task.name].phases and not TASKS[config.task.name].trains:
        found.pop("train", None)
    return Estimate(found, there, work, asked.device not in asked.backend.estimated_on)


def judge_fit(config: Config) -> tuple[bool, str] | None:
    """(refused, what is wrong and what would help, in a line) of a run that cannot or may not fit; else None.

    Refused is what cannot fit, with preflight=stop. Tasks that load no model are not judged.
    """
    loads = any(phase.backend for phase in TASKS[config.task.name].phases)
    found = estimate(config) if loads and config.preflight is not Preflight.off else None
    if found is None or found.verdict not in ("tight", "too large"):
        return None
    refused = found.verdict == "too large" and config.preflight is Preflight.stop
    return refused, explained(config, found) + ("; preflight=warn tries it all the same" if refused else "")


def too_large(config: Config) -> str | None:
    """Why this run is refused; None where it may start."""
    refused, text = judge_fit(config) or (False, "")
    return text if refused else None


def explained(config: Config, found: Estimate) -> str:
    """What is needed, of which parts, what there is, and the change that would make it fit."""
    phase = max(found.phases, key=found.peak)
    largest = sorted(found.phases[phase].items(), key=lambda item: -item[1])
    parts = ", ".join(f"{name.replace('_', ' ')} {size:,.0f}" for name, size in largest[:4])
    word = {"infer": "inference", "train": "fine-tuning"}[phase]
    return (
        f"{config.model.name}: {word} needs about {found.needed:,.0f} MiB ({parts}, …), there are "
        f"{found.there.mib:,.0f} MiB ({found.there.said}); {remedy(config, found)}"
    )


def remedy(config: Config, found: Estimate) -> str:
    """The first change, or the shortest row of changes, that would make it fit; else the largest model that does.

    Of a run that may fit as it is: what would make it sure.
    """
    options = list(_changes(config))
    singly = [([text], change) for text, change in options]
    together = [
        ([text for text, _ in options[: count + 1]], change)
        for count, change in enumerate(accumulate((c for _, c in options), lambda a, b: lambda x: b(a(x))))
    ]
    tried = [
        (" ".join(texts), changed)
        for texts, change in [*singly, *together]
        if (changed := estimate(change(config), found.there))
    ]
    sure = "make it fit" if found.verdict == "too large" else "make it sure"
    for verdict, word in (("fits", "would"), ("tight", "may just")):
        for text, changed in tried:
            if changed.verdict == verdict and verdict != found.verdict:
                return f"{text} {word} {sure} (about {changed.needed:,.0f} MiB)"
    if found.verdict != "too large":
        return "it fits unless that is too low"
    least = min((changed.needed for _, changed in tried), default=found.needed)
    return f"no setting of this run would make it fit (at least about {least:,.0f} MiB); {_smaller(config, found)}"


def _smaller(config: Config, found: Estimate) -> str:
    """The largest model of the group that fits with the same settings."""
    fitting = [
        (one.needed, model.name)
        for model in list_models(config)
        if (one := estimate(replace(config, model=model), found.there)) and one.verdict == "fits"
    ]
    return f"model={max(fitting)[1]} would fit as it is" if fitting else "every model of the group needs more"


def _changes(config: Config) -> Iterator[tuple[str, Callable[[Config], Config]]]:
    """What can be changed, as overrides, what costs least first."""
    t, trains = config.trainer, TASKS[config.task.name].trains or not TASKS[config.task.name].phases
    if trains and t.loss is Loss.nll:
        yield "trainer.loss=chunked_nll", lambda c: _trainer(c, loss=Loss.chunked_nll)
    if trains and t.gradient_checkpointing == "none" and "standard" in backends()[config.backend.name].checkpointing:
        yield (
            "trainer.gradient_checkpointing=standard",
            lambda c: _trainer(c, gradient_checkpointing="standard"),
        )
    if trains and t.batch_size > 1:
        steps = t.batch_size * t.gradient_accumulation
        yield (
            f"trainer.batch_size=1 trainer.gradient_accumulation={steps}",
            lambda c: _trainer(c, batch_size=1, gradient_accumulation=steps),
        )
    if config.lora.quantization is Quantization.none and config.lora.method is not LoraMethod.dora:
        yield (
            "lora.quantization=nf4",
            lambda c: replace(c, lora=replace(c.lora, quantization=Quantization.nf4)),
        )
    if trains and config.lora.rank > SMALL_RANK:
        yield f"lora.rank={SMALL_RANK}", lambda c: replace(c, lora=replace(c.lora, rank=SMALL_RANK))
    if trains and t.optimizer != "adamw_8bit":
        yield "trainer.optimizer=adamw_8bit", lambda c: _trainer(c, optimizer="adamw_8bit")


def _trainer(config: Config, **changes: object) -> Config:
    return replace(config, trainer=replace(config.trainer, **changes))  # type: ignore[arg-type]
