"""Does a run fit on its device? If not, which change would make it fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import accumulate
from typing import Literal

from ohlora.backends.interface import AUTO
from ohlora.config.choices import LoraMethod, Loss, Quantization
from ohlora.config.schema import TrainerConfig
from ohlora.estimate.capacity import Capacity
from ohlora.estimate.parts import Parts, Settings, phases, sum_parts
from ohlora.estimate.shape import Shape
from ohlora.estimate.work import Work

ERROR = 0.15  # what the verdicts allow for; the measured errors: experiments/fit-estimate
SMALL_RANK = 16
Verdict = Literal["fits", "tight", "too large", "unknown"]


@dataclass(frozen=True)
class Estimate:
    """The estimated memory of one run, from its model's shape, its work and its settings, and the device's memory.

    `trains`: includes the training phase.
    """

    model: str
    shape: Shape
    work: Work
    settings: Settings
    there: Capacity
    trains: bool

    @cached_property
    def phases(self) -> dict[str, Parts]:
        """Phase -> part -> MiB."""
        found = phases(self.shape, self.work, self.settings)
        return found if self.trains else {name: parts for name, parts in found.items() if name != "train"}

    @property
    def is_bound(self) -> bool:
        """True if the back end may need less than this; then nothing is refused."""
        return self.settings.device not in self.settings.backend.estimated_on

    def peak(self, phase: str) -> float:
        """Peak of this phase in MiB, comparable with the measured peak."""
        return sum_parts(self.phases[phase])

    @property
    def needed(self) -> float:
        """MiB needed in the largest phase, including the driver's context."""
        return max(sum(parts.values()) for parts in self.phases.values())

    @property
    def verdict(self) -> Verdict:
        """`too large`: does not fit even if the estimate is too high by its error; `tight`: may fit."""
        if self.there.mib is None:
            return "unknown"
        if self.needed * (1 - ERROR) > self.there.mib and not self.is_bound:
            return "too large"
        return "tight" if self.needed * (1 + ERROR) > self.there.mib else "fits"


def choose_checkpointing(asked: Estimate) -> Estimate:
    """Replace trainer.gradient_checkpointing=auto: none if the whole run surely fits without, else standard."""
    if asked.settings.checkpointing != AUTO:
        return asked
    plain = _with(asked, checkpointing="none")
    return plain if plain.verdict == "fits" else _with(asked, checkpointing="standard")


@dataclass(frozen=True)
class FitProblem:
    """A run that does not fit or may not fit, with what would help, in one line; `stops`: it is not started."""

    stops: bool
    text: str


def judge_fit(
    found: Estimate, trainer: TrainerConfig, others: Iterable[Estimate | None], stop: bool
) -> FitProblem | None:
    """The problem of a run that does not fit, or may not fit; with `stop` one that does not fit is not started.

    `others`: estimates of the same run with other models.
    """
    if found.verdict not in ("tight", "too large"):
        return None
    stops = found.verdict == "too large" and stop
    text = explain_size(found, find_remedy(found, trainer, others))
    return FitProblem(stops, text + ("; preflight=warn runs it anyway" if stops else ""))


def explain_size(found: Estimate, remedy: str) -> str:
    """The memory needed, its parts, the memory available, and the change that would make it fit."""
    phase = max(found.phases, key=found.peak)
    largest = sorted(found.phases[phase].items(), key=lambda item: -item[1])
    parts = ", ".join(f"{name.replace('_', ' ')} {size:,.0f}" for name, size in largest[:4])
    word = {"infer": "inference", "train": "fine-tuning"}[phase]
    return (
        f"{found.model}: {word} needs about {found.needed:,.0f} MiB ({parts}, …), available: "
        f"{found.there.mib:,.0f} MiB ({found.there.said}); {remedy}"
    )


def find_remedy(found: Estimate, trainer: TrainerConfig, others: Iterable[Estimate | None]) -> str:
    """The first change, or the shortest series of changes, that makes it fit; else the largest model that fits.

    For a run that may fit: the change that makes it certain.
    """
    options = list(_changes(found, trainer))
    singly = [([text], change) for steps in options for text, change in steps]
    furthest = [steps[-1] for steps in options]
    together = [
        ([text for text, _ in furthest[: count + 1]], change)
        for count, change in enumerate(accumulate((c for _, c in furthest), lambda a, b: lambda x: b(a(x))))
    ]
    tried = [(" ".join(texts), change(found)) for texts, change in [*singly, *together]]
    sure = "make it fit" if found.verdict == "too large" else "make it sure"
    for verdict, word in (("fits", "would"), ("tight", "may just")):
        for text, changed in tried:
            if changed.verdict == verdict and verdict != found.verdict:
                return f"{text} {word} {sure} (about {changed.needed:,.0f} MiB)"
    if found.verdict != "too large":
        return "it fits unless the estimate is too low"
    least = min((changed.needed for _, changed in tried), default=found.needed)
    return f"no setting of this run would make it fit (at least about {least:,.0f} MiB); {_smaller(others)}"


def _smaller(others: Iterable[Estimate | None]) -> str:
    """Name the largest model of the group that fits with the same settings."""
    fitting = [(one.needed, one.model) for one in others if one and one.verdict == "fits"]
    return f"model={max(fitting)[1]} would fit as it is" if fitting else "every model of the group needs more"


Change = tuple[str, Callable[[Estimate], Estimate]]  # overrides, and what they do to the estimate


def _changes(found: Estimate, trainer: TrainerConfig) -> Iterator[list[Change]]:
    """Possible changes, the least costly first; each in steps from the smallest to the largest."""
    s = found.settings
    if found.work.prompts_at_once > 1:
        yield [
            (f"generation.batch={size}", partial(_answering, size))
            for size in _smaller_sizes(found.work.prompts_at_once)
        ]
    if found.trains and s.loss is Loss.nll:
        yield [("trainer.loss=chunked_nll", partial(_with, loss=Loss.chunked_nll))]
    if found.trains and s.checkpointing == "none" and "standard" in s.backend.checkpointing:
        yield [("trainer.gradient_checkpointing=standard", partial(_with, checkpointing="standard"))]
    if found.trains and trainer.batch_size > 1:
        rows = trainer.batch_size * trainer.gradient_accumulation  # of one update; it stays the same
        yield [
            (f"trainer.batch_size={size} trainer.gradient_accumulation={rows // size}", partial(_training, size))
            for size in _smaller_sizes(trainer.batch_size)
            if rows % size == 0
        ]
    if s.quantization is Quantization.none and s.method is not LoraMethod.dora:
        yield [("lora.quantization=nf4", partial(_with, quantization=Quantization.nf4))]
    if found.trains and s.rank > SMALL_RANK:
        yield [(f"lora.rank={SMALL_RANK}", partial(_with, rank=SMALL_RANK))]
    if found.trains and s.optimizer != "adamw_8bit":
        yield [("trainer.optimizer=adamw_8bit", partial(_with, optimizer="adamw_8bit"))]


def _smaller_sizes(size: int) -> list[int]:
    """Halves of it down to 1."""
    return [half, *_smaller_sizes(half)] if (half := size // 2) else []


def _answering(size: int, found: Estimate) -> Estimate:
    return replace(found, work=replace(found.work, prompts_at_once=size))


def _training(size: int, found: Estimate) -> Estimate:
    return replace(found, work=replace(found.work, batch=min(size, found.work.batch)))


def _with(found: Estimate, **changes: object) -> Estimate:
    return replace(found, settings=replace(found.settings, **changes))  # type: ignore[arg-type]
