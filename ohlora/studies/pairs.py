"""Run a planned comparison pair by pair, repeat disturbed pairs, and resume what an earlier call left."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from ohlora.measure.disturbance import find_disturbances
from ohlora.records.manifest import PlannedRun, read_manifest
from ohlora.records.result import Result, Status, find_result
from ohlora.running.attempt import Place, execute
from ohlora.studies.compare import ComparisonPlan
from ohlora.studies.skipping import write_skipped

# A run that ended like this is repeated together with its partner: the runs of a pair must follow each other.
BROKEN_OFF = {Status.cancelled.value, Status.killed.value}
FINISHED = Status.finished.value
REFUSED = {Status.unsupported.value, Status.skipped.value}  # by the back end, or because it does not fit


def run_pairs(comparison: ComparisonPlan, parent: str | None) -> bool:
    """Run what is missing and repeat disturbed pairs; False if cancelled."""
    driver = PairDriver(comparison, parent)
    _report_existing(comparison.folder, comparison.jobs, driver.results)
    for _, group in groupby(comparison.jobs, key=lambda job: job.track):
        jobs = list(group)
        for redo in range(comparison.config.compare.redo + 1):
            if redo:
                jobs = driver.plan_redo(jobs)
            if not driver.run_missing(jobs):
                return False
    return True


@dataclass
class PairDriver:
    """Runs pairs one after the other; `results` maps each planned run to its result, None if it has none yet."""

    comparison: ComparisonPlan
    parent: str | None
    results: dict[str, Result | None] = field(default_factory=dict)
    taken: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        before = self.comparison.before.jobs if self.comparison.before else []
        self._read([*self.comparison.jobs, *before])
        self.order = 1 + max((result.order for result in self.results.values() if result), default=-1)

    def run_missing(self, jobs: Sequence[PlannedRun]) -> bool:
        """Run every incomplete pair; False if cancelled."""
        todo = [job for job in self._incomplete(jobs) if self._is_needed(job)]
        for number, job in enumerate(todo, 1):
            if not self._is_needed(job):  # no longer: an arm was refused meanwhile
                continue
            left = f", about {_minutes(self.taken, len(todo) - number + 1)} left" if self.taken else ""
            again = f" again ({job.redo} of at most {self.comparison.config.compare.redo})" if job.redo else ""
            _say(f"[{number}/{len(todo)}] {job.track} settings, pair {job.repeat + 1}{again}: {job.arm}{left}")
            started = time.monotonic()
            folder = self.comparison.folder / job.run_id
            place = Place(job.run_id, self.order, self.parent, job.track, job.redo)
            plan = self.comparison.plan_of(job)
            result = write_skipped(plan, folder, place) or execute(plan, folder, place)[0]
            self.results[job.run_id] = result
            self.order += 1
            self.taken.append(time.monotonic() - started)
            if result.status == Status.cancelled.value:
                return False
        return True

    def plan_redo(self, jobs: Sequence[PlannedRun]) -> list[PlannedRun]:
        """Plan the disturbed pairs of these jobs again and add them to the folder's manifest."""
        again: list[PlannedRun] = []
        for _, group in groupby(jobs, key=lambda job: job.repeat):
            pair = [job for job in group if (result := self.results[job.run_id]) and result.status == FINISHED]
            disturbed = [text for job in pair for text in self._describe_disturbance(job)]
            if len(pair) > 1 and disturbed:
                _say(f"pair {pair[0].repeat + 1} was disturbed, running it again ({'; '.join(disturbed)})")
                again += [job.make_again() for job in pair]
        self._read(again)
        manifest = read_manifest(self.comparison.folder) if again else None
        if manifest:
            known = {job.run_id for job in manifest.jobs}
            replace(manifest, jobs=[*manifest.jobs, *(job for job in again if job.run_id not in known)]).write(
                self.comparison.folder
            )
        return again

    def _read(self, jobs: Sequence[PlannedRun]) -> None:
        for job in jobs:
            if job.run_id not in self.results:
                self.results[job.run_id] = find_result(self.comparison.folder / job.run_id)

    def _describe_disturbance(self, job: PlannedRun) -> Iterator[str]:
        result = self.results[job.run_id]
        for phase, why in find_disturbances(result.disturbance if result else {}).items():
            yield f"{job.arm}: {phase} {', '.join(why)}"

    def _incomplete(self, jobs: Sequence[PlannedRun]) -> Iterator[PlannedRun]:
        """The runs of every incomplete pair, without those of refused arms."""
        for _, group in groupby(jobs, key=lambda job: job.repeat):
            pair = [job for job in group if (job.track, job.arm) not in self._refused()]
            if any((result := self.results[job.run_id]) is None or result.status in BROKEN_OFF for job in pair):
                yield from pair

    def _refused(self) -> set[tuple[str, str]]:
        jobs = self.comparison.jobs
        return {(j.track, j.arm) for j in jobs if (r := self.results[j.run_id]) and r.status in REFUSED}

    def _is_needed(self, job: PlannedRun) -> bool:
        """False for a refused arm. If fewer than two arms remain to compare, one run per arm is enough for its row."""
        refused = self._refused()
        baseline, *others = (arm for track, arm in self.comparison.nodes if track == job.track)
        if (job.track, job.arm) in refused:
            return False
        if (job.track, baseline) not in refused and any((job.track, other) not in refused for other in others):
            return True
        there = (self.results[j.run_id] for j in self.comparison.jobs if (j.track, j.arm) == (job.track, job.arm))
        return all(result is None or result.status in BROKEN_OFF for result in there)


def _report_existing(folder: Path, jobs: Sequence[PlannedRun], results: dict[str, Result | None]) -> None:
    """Print what an earlier call left and how to run it again."""
    there = [job for job in jobs if results[job.run_id]]
    if there:
        _say(f"{folder}: {len(there)} of {len(jobs)} runs exist already; study=<name> starts anew in another folder")
    for job in there:
        result = results[job.run_id]
        if result and result.status not in BROKEN_OFF | {Status.finished.value}:
            _say(f"  {result.status}: {job.arm} is kept; to run it again remove {folder / job.run_id}")


def _minutes(taken: Sequence[float], runs: int) -> str:
    seconds = sum(taken) / len(taken) * runs
    return f"{seconds / 60:.0f} min" if seconds > 90 else f"{seconds:.0f} s"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
