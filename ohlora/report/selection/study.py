"""Folders of task=selection, read and ranked: everything that the report is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ohlora.errors import UserError
from ohlora.records.manifest import SELECTION
from ohlora.records.result import Result, Status, exit_code
from ohlora.report.reading import Held, read_folder
from ohlora.report.selection.choice import Machine, machine
from ohlora.report.selection.grades import Grades
from ohlora.report.selection.ranking import WEIGHTS
from ohlora.report.selection.rows import TASK, Candidate, candidates
from ohlora.report.words.comparison import say


@dataclass
class Study:
    """What several folders hold. `grades_file`: where a person's grades may be filled in, '' where they were given.

    `grades_unknown` are of what is not here, `grades_wrong` says what in that file is no grade.
    """

    held: list[Held]
    candidates: list[Candidate]
    machines: list[Machine]
    lang: str
    grades_file: str = ""
    grades_unknown: list[str] = field(default_factory=list)
    grades_wrong: list[str] = field(default_factory=list)

    @property
    def results(self) -> list[Result]:
        return [result for candidate in self.candidates for result in candidate.results]

    def exit_code(self) -> int:
        """1 where no candidate finished; else that of the runs, a skipped candidate being no failure."""
        entries = [entry for candidate in self.candidates for entry in candidate.entries]
        if not any(entry.finished for entry in entries):
            return 1
        started = [result for result in self.results if result.status != Status.skipped.value]
        return exit_code(started) or int(any(entry.missing for entry in entries))

    def unusable(self) -> list[str]:
        """Files that were left out, and why."""
        words = {"lost": say(self.lang, "lost"), "foreign": say(self.lang, "foreign")}
        return [f"{name}: {words.get(why, why)}" for one in self.held for name, why in one.unreadable]


def is_selection(folder: Path) -> bool:
    """Is the folder a model selection? Its plan says so; without one, the task of its runs does."""
    held = read_folder(folder)
    if held.manifest:
        return held.manifest.kind == SELECTION
    return any(run.task == TASK for arm in held.arms for run in arm.runs)


def read_study(
    folders: Sequence[Path], lang: str | None, weights: Mapping[str, float] | None, grades: Grades | None
) -> Study:
    """Read and rank everything in the folders; `lang` None takes what the runs asked for.

    Raises:
        UserError: there is nothing of this task in them.
    """
    held = [read_folder(folder) for folder in folders]
    found = candidates(held)
    if not found:
        raise UserError(f"{', '.join(map(str, folders))}: no run of task={TASK} in it")
    entries = [entry for candidate in found for entry in candidate.entries]
    for entry in entries:
        entry.grade = (grades or {}).get((entry.model, entry.rank))
    there = {(entry.model, entry.rank) for entry in entries}
    unknown = [f"{model} r{rank}" for model, rank in grades or {} if (model, rank) not in there]
    names = list(dict.fromkeys(candidate.machine for candidate in found))
    machines = [machine(name, found, weights or WEIGHTS) for name in names]
    asked = next((one.manifest.lang for one in held if one.manifest), "en")
    return Study(held, found, machines, lang or asked, grades_unknown=unknown)
