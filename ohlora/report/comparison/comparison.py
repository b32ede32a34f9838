"""A folder of runs as one comparison: tracks, each with its arms and their contrasts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ohlora.backends import backends
from ohlora.records.manifest import RECOMMENDED
from ohlora.records.result import Result, exit_code
from ohlora.report.comparison.contrast import Contrast, compare_arms
from ohlora.report.reading import ArmRuns, RunFolder, read_folder
from ohlora.report.words.comparison import say


@dataclass
class Track:
    """Arms that are compared with the first of them. `name` is '' for a sweep, else equal or recommended."""

    name: str
    arms: list[ArmRuns]
    contrasts: list[Contrast]

    @property
    def comparable(self) -> bool:
        """False when one of its contrasts has no pair or is not comparable."""
        return bool(self.contrasts) and all(c.comparable for c in self.contrasts)

    @property
    def are_backends(self) -> bool:
        """Does every arm use a different back end?"""
        names = {arm.backend for arm in self.arms}
        return len(names) == len(self.arms) > 1 and "" not in names

    def label(self, arm: ArmRuns) -> str:
        """The back end's label if only this arm uses it, else the arm's name."""
        return self.label_markdown(arm).replace("**", "")

    def label_markdown(self, arm: ArmRuns) -> str:
        """The same with its Markdown emphasis, for the table."""
        known = backends().get(arm.backend)
        return known.label if known and [other.backend for other in self.arms].count(arm.backend) == 1 else arm.name

    def is_with_and_without(self, other: ArmRuns) -> bool:
        """Are the two arms labelled as one with and one without the same thing?"""
        with_it, without = self.label_markdown(other), self.label_markdown(self.arms[0])
        return len(self.arms) == 2 and without.startswith("**w/o** ") and with_it == without.replace("w/o", "with")

    def title(self, lang: str) -> str:
        return say(lang, f"track.{self.name}")

    def prefix(self, lang: str) -> str:
        """'Each side's recommended settings: ' for texts on that track, else ''."""
        return f"{self.title(lang)}: " if self.name == RECOMMENDED else ""

    def metrics(self, arm: ArmRuns) -> dict[str, float]:
        """What is shown of an arm: geometric means over its pairs, so that a ratio is that of two cells; else medians.

        Where a baseline's pairs differ from arm to arm, those with the first arm are shown.
        """
        shown = arm.metrics()
        for one in reversed(self.contrasts):
            for key, figure in one.figures.items():
                if arm in (one.baseline, one.other):
                    shown[key] = figure.paired.baseline if arm is one.baseline else figure.paired.other
        return shown


@dataclass
class Comparison:
    """The runs of a folder, compared."""

    source: RunFolder
    tracks: list[Track]
    lang: str

    @property
    def folder(self) -> Path:
        return self.source.folder

    @property
    def arms(self) -> list[ArmRuns]:
        return self.source.arms

    @property
    def runs(self) -> list[Result]:
        return self.source.runs

    @property
    def contrasts(self) -> list[tuple[Track, Contrast]]:
        return [(track, one) for track in self.tracks for one in track.contrasts]

    @property
    def named_arms(self) -> list[tuple[Track, ArmRuns]]:
        return [(track, arm) for track in self.tracks for arm in track.arms]

    @property
    def voided(self) -> list[tuple[Track, Contrast]]:
        """The contrasts that are void, since a check is broken."""
        return [(track, one) for track, one in self.contrasts if one.pairs and one.voided]

    def exit_code(self) -> int:
        """That of all runs; a planned run without a result is a failure, unless its arm is unsupported here."""
        supported = [arm for arm in self.arms if not any(run.status in ("unsupported", "skipped") for run in arm.runs)]
        missing = any(arm.planned > len(arm.runs) for arm in supported)
        return exit_code(self.runs) or int(missing)


def read_comparison(folder: Path, lang: str | None = None) -> Comparison:
    """Read and compare everything in a folder; `lang` None takes the language of the plan.

    Raises:
        UserError: there is nothing in it to compare.
    """
    source = read_folder(folder)
    by_name: dict[str, list[ArmRuns]] = {}
    for arm in source.arms:
        by_name.setdefault(arm.track, []).append(arm)
    tracks = [Track(name, arms, []) for name, arms in by_name.items()]
    for track in tracks:
        _leave_out_unneeded_runs(track)
        track.contrasts = [compare_arms(track.arms[0], arm, source.runs) for arm in track.arms[1:]]
    return Comparison(source, tracks, lang or source.lang)


def _leave_out_unneeded_runs(track: Track) -> None:
    """If refused arms leave fewer than two to compare, one run of each other arm was enough."""
    refused = [any(run.status in ("unsupported", "skipped") for run in arm.runs) for arm in track.arms]
    if len(refused) > 1 and (refused[0] or all(refused[1:])):
        for arm, is_refused in zip(track.arms, refused, strict=True):
            if arm.runs and not is_refused:
                arm.planned = len(arm.runs)
