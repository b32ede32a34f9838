"""Run folders -> results, grouped into arms. Unreadable files are reported, not guessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from ohlora.config.identity import select_measured
from ohlora.errors import UserError
from ohlora.measure.disturbance import find_disturbances
from ohlora.records.layout import attempts
from ohlora.records.manifest import SEEDED, Manifest, read_manifest
from ohlora.records.result import Result, Status, read_result
from ohlora.report.markdown import NO_VALUE
from ohlora.report.words.comparison import say


@dataclass
class ArmRuns:
    """The runs of one arm. `planned` runs that left no result count as not run."""

    name: str
    track: str = ""
    overrides: list[str] = field(default_factory=list)
    runs: list[Result] = field(default_factory=list)
    planned: int = 0

    @property
    def backend(self) -> str:
        """The back end in effect, else the requested one, else ''."""
        for run in self.runs:
            asked = run.requested.get("backend") or {}
            return str(run.effective.get("backend") or asked.get("name") or "")
        return ""

    @property
    def finished(self) -> list[Result]:
        return [run for run in self.runs if run.status == Status.finished.value]

    @property
    def drawn(self) -> Result | None:
        """The run whose curves are drawn: the first finished one that the machine did not disturb."""
        return next((run for run in self.finished if not find_disturbances(run.disturbance)), self.first)

    @property
    def first(self) -> Result | None:
        """A run that represents the arm's settings: a finished one if there is any."""
        return next(iter([*self.finished, *self.runs]), None)

    def metrics(self) -> dict[str, float]:
        """Median of each metric over the runs that have it, those that broke off included."""
        return take_medians(self.runs)


@dataclass
class RunFolder:
    """What a folder holds: its plan if it has one, its arms, and the unusable files, each with the reason."""

    folder: Path
    manifest: Manifest | None
    arms: list[ArmRuns]
    unreadable: list[tuple[str, str]]

    @property
    def runs(self) -> list[Result]:
        return [run for arm in self.arms for run in arm.runs]

    @property
    def lang(self) -> str:
        """The language that the plan asks for."""
        return self.manifest.lang if self.manifest else "en"

    def describe_unreadable(self, lang: str) -> list[str]:
        """Files that were left out, and why."""
        return [f"{name}: {say(lang, why) if why in ('lost', 'foreign') else why}" for name, why in self.unreadable]


def read_folder(folder: Path) -> RunFolder:
    """The runs of a sweep, of a comparison, or one run directory.

    Raises:
        UserError: there is nothing in it to compare.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give the folder of a sweep, for example outputs/<study>")
    runs: list[Result] = []
    unreadable: list[tuple[str, str]] = []
    paths = [folder / "result.json"] if (folder / "result.json").is_file() else sorted(folder.glob("*/result.json"))
    for path in paths:
        try:
            runs.append(read_result(path))
        except (ValueError, OSError) as error:
            unreadable.append((path.parent.name, str(error)))
    lost = sorted({path.parent for path in folder.glob("*/attempt-*")} - {path.parent for path in paths})
    unreadable += [(path.name, "lost") for path in lost]
    manifest = None
    try:
        manifest = read_manifest(folder)
    except ValueError as error:
        unreadable.append((folder.name, str(error)))
    planned = {job.run_id for job in manifest.jobs} if manifest else set()
    foreign = [run.run_id for run in runs if planned and run.run_id not in planned]
    runs = [run for run in runs if run.run_id not in foreign]
    unreadable += [(name, "foreign") for name in foreign]
    if not runs and not manifest:
        detail = f" ({'; '.join(f'{name}: {why}' for name, why in unreadable)})" if unreadable else ""
        raise UserError(f"{folder}: no result.json in it or one level below that can be read{detail}")
    arms, changed = _group_runs(runs, manifest)
    return RunFolder(folder, manifest, arms, unreadable + [(name, "foreign") for name in changed])


def _group_runs(runs: list[Result], manifest: Manifest | None) -> tuple[list[ArmRuns], list[str]]:
    """The arms with their runs; and the runs of pairs whose configuration was changed afterwards, which join no arm."""
    planned = manifest.jobs if manifest else []
    arms = {(track, name): ArmRuns(name, track, own) for track, name, own in (manifest.arms() if manifest else ())}
    for job in planned:
        arms[job.track, job.arm].planned += 1
    tracks = {job.run_id: job.track for job in planned}
    is_pairs = manifest is not None and manifest.kind in SEEDED
    seeds = {job.run_id: job.asked.get("seed") for job in planned if is_pairs}  # pairs may differ in a planned seed
    changed = []
    for run in sorted(runs, key=lambda run: (run.order, run.repeat)):
        track = tracks.get(run.run_id, run.track)
        arm = arms.setdefault((track, run.arm), ArmRuns(run.arm, track))
        if arm.runs and _work(arm.runs[0], seeds) != _work(run, seeds):
            if is_pairs:
                changed.append(run.run_id)
                continue
            arm = arms.setdefault((track, run.run_id), ArmRuns(run.run_id, track))  # it did other work
        arm.runs.append(run)
    for arm in arms.values():
        arm.planned = max(arm.planned, len(arm.runs))
    return list(arms.values()), changed


def take_medians(runs: Sequence[Result]) -> dict[str, float]:
    """The median of each metric over the runs that have it."""
    keys = sorted({key for run in runs for key in run.metrics})
    return {key: median([run.metrics[key] for run in runs if key in run.metrics]) for key in keys}


def name_machine(device: Mapping[str, Any]) -> str:
    return f"{device.get('name')}, {device.get('vram_mib', device.get('ram_mib'))} MiB" if device else NO_VALUE


def find_newest(folder: Path, run: Result, name: str) -> Path | None:
    """A file of the newest attempt of a run that left it."""
    own = folder if (folder / "result.json").is_file() else folder / run.run_id
    return next((path / name for path in attempts(own)[::-1] if (path / name).is_file()), None)


def requested_work(run: Result) -> dict[str, Any]:
    """The configuration of a run without its repeat and the paths of its files, whose content is hashed elsewhere."""
    kept = select_measured(run.requested)
    for group in ("model", "data"):
        if isinstance(kept.get(group), dict):
            kept[group] = {key: value for key, value in kept[group].items() if key != "path"}
    return kept


def _work(run: Result, seeds: dict[str, Any]) -> str:
    """A text that is the same for runs that do the same work; a seed that was planned for the pair does not count."""
    asked = requested_work(run)
    if "seed" in asked and seeds.get(run.run_id) == asked["seed"]:
        del asked["seed"]
    return repr(sorted(asked.items()))
