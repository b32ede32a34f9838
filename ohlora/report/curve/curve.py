"""A folder of task=curve, read: the eval loss of every share and seed, what each step up gained, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan
from pathlib import Path
from statistics import median

from ohlora.measure.statistics import MIN_PAIRS, MeanInterval, estimate_mean
from ohlora.records.manifest import CURVE
from ohlora.records.result import Result
from ohlora.report.reading import RunFolder, read_folder

LOSS = "eval/eval_loss"


@dataclass(frozen=True)
class SharePoint:
    """One share of the training rows. `losses`: seed -> eval loss in nats/token, finite ones only."""

    share: float
    runs: list[Result]
    losses: dict[int, float]

    @property
    def rows(self) -> int | None:
        """Training rows; None in a run that left none."""
        return next((int(r.metrics["train/train_rows"]) for r in self.runs if "train/train_rows" in r.metrics), None)

    @property
    def loss(self) -> MeanInterval | None:
        return estimate_mean(list(self.losses.values())) if self.losses else None

    @property
    def best_step(self) -> float | None:
        steps = [run.metrics["train/best_step"] for run in self.runs if "train/best_step" in run.metrics]
        return median(steps) if steps else None


@dataclass(frozen=True)
class Gain:
    """What the step from `smaller` to `larger` took from the loss: a mean over the seeds that have both; > 0 helped."""

    smaller: SharePoint
    larger: SharePoint
    gain: MeanInterval

    @property
    def verdict(self) -> str:
        """more: more rows help; none: no gain shown; few: too few seeds for a verdict."""
        if self.gain.count < MIN_PAIRS or self.gain.interval is None:
            return "few"
        return "more" if self.gain.interval[0] > 0 else "none"


@dataclass(frozen=True)
class LearningCurve:
    """The points of a folder, the smallest share first; `missing`: planned runs without a result."""

    source: RunFolder
    points: list[SharePoint]
    lang: str
    missing: int = 0

    @property
    def gains(self) -> list[Gain]:
        """Of each share over the next smaller one that has seeds in common with it."""
        found = []
        for smaller, larger in zip(self.points, self.points[1:], strict=False):
            seeds = sorted(smaller.losses.keys() & larger.losses.keys())
            if seeds:
                differences = [smaller.losses[seed] - larger.losses[seed] for seed in seeds]
                found.append(Gain(smaller, larger, estimate_mean(differences)))
        return found

    @property
    def last_gain(self) -> Gain | None:
        """Of the largest share, which tells what more rows would bring."""
        return next((gain for gain in self.gains if gain.larger is self.points[-1]), None)


def is_curve(folder: Path) -> bool:
    """Is the folder a learning curve, by its plan?"""
    manifest = read_folder(folder).manifest
    return manifest is not None and manifest.kind == CURVE


def read_curve(folder: Path, lang: str | None = None) -> LearningCurve:
    """Read a folder of task=curve; `lang` None takes the language of the plan.

    Raises:
        UserError: there is nothing in it to report.
    """
    source = read_folder(folder)
    shares: dict[float, list[Result]] = {}
    for job in source.manifest.jobs if source.manifest else []:
        shares.setdefault(float(job.asked.get("trainer.train_share", 1.0)), [])
    for run in source.runs:
        shares.setdefault(_share_of(run), []).append(run)
    points = [
        SharePoint(share, runs, {seed_of(r): r.metrics[LOSS] for r in runs if isfinite(r.metrics.get(LOSS, nan))})
        for share, runs in sorted(shares.items())
    ]
    planned = len(source.manifest.jobs) if source.manifest else 0
    return LearningCurve(source, points, lang or source.lang, max(0, planned - len(source.runs)))


def _share_of(run: Result) -> float:
    return float((run.requested.get("trainer") or {}).get("train_share", 1.0))


def seed_of(run: Result) -> int:
    """The seed that the run asked for."""
    return int(run.requested.get("seed", run.repeat))
