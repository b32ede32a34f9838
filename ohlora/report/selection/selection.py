"""Folders of task=selection, read and ranked machine by machine: everything that the report is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import normalize

from ohlora.errors import UserError
from ohlora.records.manifest import SELECTION
from ohlora.records.result import Result, Status, exit_code
from ohlora.records.samples import Sample
from ohlora.report.reading import RunFolder, read_folder
from ohlora.report.selection.candidates import Candidate, ModelGroup, group_models
from ohlora.report.selection.grades import Grades
from ohlora.report.selection.ranking import WEIGHTS, Ranking, Score, rank_candidates, vary_weights
from ohlora.report.words.comparison import say


@dataclass
class MachineRanking:
    """The candidates of one machine. Indices in `ranking` and `changed` are positions in `finished`.

    `changed`: part -> factor on its weight -> who wins then. `floor`: the chrF of the references as answers to other
    questions, the score that an unrelated Korean answer would get.
    """

    name: str
    models: list[ModelGroup]
    finished: list[Candidate]
    ranking: Ranking
    changed: dict[str, dict[float, list[int]]] = field(default_factory=dict)
    floor: float | None = None

    @property
    def winner(self) -> Score | None:
        """The first place; of several the one that was planned first."""
        return next(iter(self.ranking.scores), None)

    @property
    def runner_up(self) -> Score | None:
        """The best candidate of any other model."""
        first = self.winner
        others = [s for s in self.ranking.scores if first and self.model(s.index) != self.model(first.index)]
        return next(iter(others), None)

    def model(self, index: int) -> str:
        return self.finished[index].model

    def candidate_name(self, index: int, lang: str) -> str:
        candidate = self.finished[index]
        return f"{candidate.model}, {say(lang, 's.rank')} {candidate.rank}"

    def best_of_each_model(self) -> list[Candidate]:
        """Of each model the candidate with the highest score, else the first one that has answers."""
        places = {id(self.finished[score.index]): place for place, score in enumerate(self.ranking.scores)}
        found = []
        for group in self.models:
            with_answers = [candidate for candidate in group.candidates if candidate.samples]
            found += sorted(with_answers, key=lambda one: places.get(id(one), len(places)))[:1]
        return found


@dataclass
class ModelSelection:
    """The rankings of several folders. `grades_file`: where a person may fill in grades, '' if they were given.

    `grades_unknown` are grades of candidates that are not here, `grades_wrong` the lines that hold no grade.
    """

    folders: list[RunFolder]
    machines: list[MachineRanking]
    lang: str
    grades_file: str = ""
    grades_unknown: list[str] = field(default_factory=list)
    grades_wrong: list[str] = field(default_factory=list)

    @property
    def models(self) -> list[ModelGroup]:
        return [group for machine in self.machines for group in machine.models]

    @property
    def candidates(self) -> list[Candidate]:
        return [candidate for group in self.models for candidate in group.candidates]

    @property
    def finished(self) -> list[Candidate]:
        return [candidate for candidate in self.candidates if candidate.finished]

    @property
    def results(self) -> list[Result]:
        return [result for candidate in self.candidates for result in candidate.results]

    def with_machine(self, text: str, machine: str) -> str:
        """The text, with the machine if there are several."""
        return f"{text} ({machine})" if len(self.machines) > 1 else text

    def exit_code(self) -> int:
        """1 if no candidate finished, else that of the runs; a skipped candidate is no failure."""
        if not self.finished:
            return 1
        started = [result for result in self.results if result.status != Status.skipped.value]
        return exit_code(started) or int(any(candidate.missing for candidate in self.candidates))

    def unreadable(self) -> list[str]:
        """Files that were left out, and why."""
        return [text for one in self.folders for text in one.describe_unreadable(self.lang)]


def is_selection(folder: Path) -> bool:
    """Is the folder a model selection, by its plan, or without one by the task of its runs?"""
    source = read_folder(folder)
    if source.manifest:
        return source.manifest.kind == SELECTION
    return any(run.task == SELECTION for run in source.runs)


def read_selection(
    folders: Sequence[Path], lang: str | None, weights: Mapping[str, float] | None, grades: Grades | None
) -> ModelSelection:
    """Read and rank everything in the folders; `lang` None takes the language of the plan.

    Raises:
        UserError: there is nothing of this task in them.
    """
    sources, grades = [read_folder(folder) for folder in folders], grades or {}
    models = group_models(sources, grades)
    if not models:
        raise UserError(f"{', '.join(map(str, folders))}: no run of task={SELECTION} in it")
    names = dict.fromkeys(group.machine for group in models)
    machines = [_rank_machine(name, models, weights or WEIGHTS) for name in names]
    planned_lang = next((one.lang for one in sources if one.manifest), "en")
    selection = ModelSelection(sources, machines, lang or planned_lang)
    there = {(candidate.model, candidate.rank) for candidate in selection.candidates}
    selection.grades_unknown = [f"{model} r{rank}" for model, rank in grades if (model, rank) not in there]
    return selection


def find_chrf_floor(samples: Sequence[Sample]) -> float | None:
    """chrF of fluent answers to other questions: each reference serves as the answer to the question before it."""
    references = [normalize("NFC", sample.reference) for sample in samples]
    if len(references) < 2 or not all(references):
        return None
    from sacrebleu.metrics import CHRF

    return float(CHRF().corpus_score([*references[1:], references[0]], [references]).score)


def _rank_machine(name: str, models: Sequence[ModelGroup], weights: Mapping[str, float]) -> MachineRanking:
    """Rank what finished on this machine."""
    own = [group for group in models if group.machine == name]
    finished = [candidate for group in own for candidate in group.candidates if candidate.finished]
    figures = [candidate.figures for candidate in finished]
    floor = next((value for one in finished if (value := find_chrf_floor(one.samples)) is not None), None)
    floors = {} if floor is None else {"usable_chrf": floor}
    ranking, changed = rank_candidates(figures, weights, floors), vary_weights(figures, weights, floors)
    return MachineRanking(name, own, finished, ranking, changed, floor)
