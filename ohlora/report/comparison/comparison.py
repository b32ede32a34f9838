"""A folder of runs as one comparison: tracks, contrasts, and what a reader must know before believing a number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ohlora.backends import backends
from ohlora.config.identity import flatten
from ohlora.measure.statistics import MIN_PAIRS
from ohlora.records.result import Result, exit_code
from ohlora.report.comparison.contrast import Contrast, contrast
from ohlora.report.reading import ArmRuns, RunFolder, read_folder


@dataclass(frozen=True)
class Note:
    """Something to know, by its code in `ohlora.report.words.comparison`, with the values its text takes."""

    code: str
    values: dict[str, object] = field(default_factory=dict)


@dataclass
class Track:
    """Arms that are compared with the first of them. `name` is '' for a sweep, else equal or recommended."""

    name: str
    arms: list[ArmRuns]
    contrasts: list[Contrast]

    @property
    def comparable(self) -> bool:
        """False when one of its contrasts has no pair or may not be compared."""
        return bool(self.contrasts) and all(c.comparable for c in self.contrasts)

    def metrics(self, arm: ArmRuns) -> dict[str, float]:
        """What is shown of an arm: geometric means over the pairs, so that a ratio is that of two cells; else medians.

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
    """What a folder holds, compared."""

    held: RunFolder
    tracks: list[Track]
    lang: str

    @property
    def folder(self) -> Path:
        return self.held.folder

    @property
    def arms(self) -> list[ArmRuns]:
        return self.held.arms

    @property
    def runs(self) -> list[Result]:
        return [run for arm in self.arms for run in arm.runs]

    @property
    def voided(self) -> list[tuple[Track, Contrast]]:
        """The contrasts that a broken check voids."""
        return [(t, c) for t in self.tracks for c in t.contrasts if c.pairs and c.voided]

    def exit_code(self) -> int:
        """Of all runs; a planned run that left no result is a failure, unless its arm is unsupported here."""
        supported = [arm for arm in self.arms if not any(run.status in ("unsupported", "skipped") for run in arm.runs)]
        missing = any(arm.planned > len(arm.runs) for arm in supported)
        return exit_code(self.runs) or int(missing)

    def notes(self) -> list[Note]:
        return list(_notes(self))


def read_comparison(folder: Path, lang: str | None = None) -> Comparison:
    """Read and compare everything in a folder; `lang` None takes what the run asked for.

    Raises:
        UserError: there is nothing in it to compare.
    """
    held = read_folder(folder)
    by_name: dict[str, list[ArmRuns]] = {}
    for arm in held.arms:
        by_name.setdefault(arm.track, []).append(arm)
    tracks = [Track(name, arms, []) for name, arms in by_name.items()]
    everything = [run for arm in held.arms for run in arm.runs]
    for track in tracks:
        _leave_out_unneeded_runs(track)
        track.contrasts = [contrast(track.arms[0], arm, everything) for arm in track.arms[1:]]
    return Comparison(held, tracks, lang or (held.manifest.lang if held.manifest else "en"))


def _leave_out_unneeded_runs(track: Track) -> None:
    """Where refused arms leave no two to compare, one run of each other arm was enough."""
    refused = [any(run.status in ("unsupported", "skipped") for run in arm.runs) for arm in track.arms]
    if len(refused) > 1 and (refused[0] or all(refused[1:])):
        for arm, is_refused in zip(track.arms, refused, strict=True):
            if arm.runs and not is_refused:
                arm.planned = len(arm.runs)


def _notes(comparison: Comparison) -> Iterator[Note]:
    runs = comparison.runs
    for track in comparison.tracks:
        yield from _track_notes(track)
    for device in sorted({str(run.device.get("name")) for run in runs if run.device}):
        yield Note("device", {"name": device})
    if len({str(run.device.get("name")) for run in runs if run.device}) > 1:
        yield Note("machines")
    if any(run.device.get("type") == "cpu" for run in runs):
        yield Note("cpu")
    if any("device_difference" in flatten(run.effective).values() for run in runs):
        yield Note("device_difference")
    for label in sorted({str(run.model.get("label")) for run in runs if run.model}):
        yield Note("model", {"label": label})
    routes = {value for run in runs for key, value in flatten(run.effective).items() if key.endswith(".route")}
    for known in backends().values():
        yield from (Note("route", dict(text)) for route, text in known.route_notes.items() if route in routes)


def _track_notes(track: Track) -> Iterator[Note]:
    if len(track.arms) < 2:
        yield Note("one_arm", {"track": track.name})
        return
    if not any(arm.finished for arm in track.arms):
        yield Note("none_finished", {"track": track.name})
    for one in track.contrasts:
        about: dict[str, object] = {"track": track.name, "arm": one.other.name, "baseline": one.baseline.name}
        if one.too_short:
            yield Note("smoke", about)
        unchecked = tuple(check.code for check in one.checks if check.state == "unknown")
        if unchecked:
            yield Note("unchecked", {**about, "checks": unchecked})
        if one.left_out:
            yield Note("left_out", {**about, "count": len(one.left_out), "all": len(one.left_out) + len(one.pairs)})
        if not one.pairs and not one.left_out:
            yield Note("no_pairs", about)
        elif len(one.pairs) < MIN_PAIRS:
            yield Note("few_pairs", {**about, "pairs": len(one.pairs), "needed": MIN_PAIRS})
        if len(one.pairs) > 1 and not one.interleaved:
            yield Note("not_interleaved", about)
