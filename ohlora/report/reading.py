"""Run folders -> results, grouped into arms. Files that cannot be used are said, never guessed at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from ohlora.config.identity import select_measured
from ohlora.errors import UserError
from ohlora.measure.disturbance import find_disturbances
from ohlora.records.layout import attempts
from ohlora.records.manifest import PAIRS, Manifest, read_manifest
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
        """The back end that was in effect, else the one that was asked for, else ''."""
        for run in self.runs:
            asked = run.requested.get("backend") or {}
            return str(run.effective.get("backend") or asked.get("name") or "")
        return ""

    @property
    def finished(self) -> list[Result]:
        return [run for run in self.runs if run.status == Status.finished.value]

    @property
    def drawn(self) -> Result | None:
        """The run whose curves stand for the arm: the first finished one that the machine did not disturb."""
        return next((run for run in self.finished if not find_disturbances(run.disturbance)), self.first)

    @property
    def first(self) -> Result | None:
        """A run to read settings off: a finished one if there is any."""
        return next(iter([*self.finished, *self.runs]), None)

    def metrics(self) -> dict[str, float]:
        """Median of each metric over the runs that have it; a run that broke off keeps what it measured."""
        keys = sorted({key for run in self.runs for key in run.metrics})
        return {key: median([run.metrics[key] for run in self.runs if key in run.metrics]) for key in keys}


@dataclass
class RunFolder:
    """What a folder holds: its plan if it has one, its arms, and what could not be used, in words."""

    folder: Path
    manifest: Manifest | None
    arms: list[ArmRuns]
    unreadable: list[tuple[str, str]]

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
    seeds = _planned_seeds(manifest)
    if manifest and manifest.kind == PAIRS:  # a run that was changed afterwards is none of its arm's
        first: dict[tuple[str, str], Result] = {}
        for run in sorted(runs, key=lambda run: run.repeat):
            if _work(run, seeds) != _work(first.setdefault((run.track, run.arm), run), seeds):
                unreadable.append((run.run_id, "foreign"))
        runs = [run for run in runs if (run.run_id, "foreign") not in unreadable]
    if not runs and not manifest:
        detail = f" ({'; '.join(f'{name}: {why}' for name, why in unreadable)})" if unreadable else ""
        raise UserError(f"{folder}: no result.json in it or one level below that can be read{detail}")
    return RunFolder(folder, manifest, list(_arms(runs, manifest)), unreadable)


def _arms(runs: list[Result], manifest: Manifest | None) -> Iterator[ArmRuns]:
    arms: dict[tuple[str, str], ArmRuns] = {}
    tracks: dict[str, str] = {}
    seeds = _planned_seeds(manifest)
    for track, name, overrides in manifest.arms() if manifest else ():
        arms[track, name] = ArmRuns(name, track, overrides)
    for job in manifest.jobs if manifest else ():
        arms[job.track, job.arm].planned += 1
        tracks[job.run_id] = job.track
    for run in sorted(runs, key=lambda run: (run.order, run.repeat)):
        track = tracks.get(run.run_id, run.track)
        arm = arms.setdefault((track, run.arm), ArmRuns(run.arm, track))
        if arm.runs and _work(arm.runs[0], seeds) != _work(
            run, seeds
        ):  # the same back end, another question asked of it
            arm = arms.setdefault((track, run.run_id), ArmRuns(run.run_id, track))
        arm.runs.append(run)
    for arm in arms.values():
        arm.planned = max(arm.planned, len(arm.runs))
        yield arm


def name_machine(device: Mapping[str, Any]) -> str:
    return f"{device.get('name')}, {device.get('vram_mib', device.get('ram_mib'))} MiB" if device else NO_VALUE


def find_newest(folder: Path, run: Result, name: str) -> Path | None:
    """A file of the newest attempt of a run that left it."""
    own = folder if (folder / "result.json").is_file() else folder / run.run_id
    return next((path / name for path in attempts(own)[::-1] if (path / name).is_file()), None)


def asked_of(run: Result) -> dict[str, Any]:
    """What a run was asked to do, whichever repeat it is and wherever its files lie (what they hold has its hash)."""
    kept = select_measured(run.requested)
    for group in ("model", "data"):
        if isinstance(kept.get(group), dict):
            kept[group] = {key: value for key, value in kept[group].items() if key != "path"}
    return kept


def _planned_seeds(manifest: Manifest | None) -> dict[str, Any]:
    """Run -> the seed that a comparison planned for it; its pairs may differ in that."""
    return {job.run_id: job.asked.get("seed") for job in manifest.jobs} if manifest and manifest.kind == PAIRS else {}


def _work(run: Result, seeds: dict[str, Any]) -> str:
    asked = asked_of(run)
    if "seed" in asked and seeds.get(run.run_id) == asked["seed"]:
        del asked["seed"]
    return repr(sorted(asked.items()))
