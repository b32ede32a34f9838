"""Candidates, a model at one LoRA rank on one machine, and the models that they belong to, from trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import inf, isfinite
from typing import Any

from ohlora.records.result import Result, Status
from ohlora.records.samples import Sample
from ohlora.report.comparison.headline import column_key
from ohlora.report.reading import RunFolder, take_medians
from ohlora.report.selection.labels import label_trials
from ohlora.report.selection.trials import Trial, collect_trials

NOT_RUN = "not run"


@dataclass
class Candidate:
    """A model at one rank on one machine. `trials` are its repeats; one without a result never ran.

    `model` and `rank` name what else differed: 'gemma3-270m backend=unsloth', '16 learning_rate=0.0001'.
    `inference` are the medians of its base model, from all ranks.
    """

    model: str
    machine: str
    rank: str
    grade: float | None = None
    trials: list[Trial] = field(default_factory=list)
    inference: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.model} r{self.rank}"

    @property
    def rank_number(self) -> int:
        """The rank to sort by; 0 if it is not known."""
        first = self.rank.split()[0]
        return int(first) if first.isdecimal() else 0

    @property
    def results(self) -> list[Result]:
        return [trial.run for trial in self.trials if trial.run]

    @property
    def missing(self) -> int:
        """Planned runs that left no result."""
        return len(self.trials) - len(self.results)

    @property
    def finished(self) -> bool:
        return any(result.status == Status.finished.value for result in self.results)

    @property
    def status(self) -> str:
        """'finished' if one repeat finished, else how the first ended."""
        if self.finished:
            return Status.finished.value
        return self.results[0].status if self.results else NOT_RUN

    @property
    def reason(self) -> dict[str, str]:
        return {} if self.finished or not self.results else self.results[0].reason or {}

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Medians over the repeats that finished; if none did, over those that broke off."""
        return take_medians([r for r in self.results if r.status == Status.finished.value] or self.results)

    @cached_property
    def samples(self) -> list[Sample]:
        """The fine-tuned model's answers, of the first repeat that left any."""
        return next((found for trial in self.trials if (found := trial.samples())), [])

    @cached_property
    def figures(self) -> dict[str, float]:
        """The figures of its rank; what was not measured is absent. A loss that is not finite is infinitely bad."""
        metrics, infer = self.metrics, self.inference
        found = {
            "usable_chrf": metrics.get("quality/usable_chrf"),
            "bits": metrics.get("eval/eval_bits_per_char"),
            "train_memory": metrics.get(column_key(metrics, "train", "memory") or ""),
            "infer_memory": infer.get(column_key(infer, "infer", "memory") or ""),
            "train_time": metrics.get("train/train_time_s"),
            "infer_time": infer.get("infer/infer_time_s"),
            "grade": self.grade,
        }
        if not isfinite(metrics.get("eval/eval_loss", 0.0)):
            found["bits"] = inf
        return {key: value for key, value in found.items() if value is not None}


@dataclass
class ModelGroup:
    """A model on a machine, with its candidates by rank. Its base model's inference is the same at every rank."""

    model: str
    machine: str
    candidates: list[Candidate]

    @property
    def results(self) -> list[Result]:
        return [result for candidate in self.candidates for result in candidate.results]

    def fact(self, measured: str, asked: str) -> Any:
        """A fact about the model from the first trial that records it."""
        found = (trial.fact(measured, asked) for candidate in self.candidates for trial in candidate.trials)
        return next((value for value in found if value is not None), None)

    @property
    def licence(self) -> str:
        return str(self.fact("licence", "license") or "unknown")

    @property
    def params_m(self) -> float | None:
        value = self.fact("params_m", "params_m")
        return float(value) if isinstance(value, int | float) else None

    @property
    def timed(self) -> list[Result]:
        """The runs that timed the base model's inference."""
        return [result for result in self.results if "infer/infer_time_s" in result.metrics]


def group_models(folders: Sequence[RunFolder], grades: Mapping[tuple[str, str], float | None]) -> list[ModelGroup]:
    """Every model of every folder in the order of the plans, machine by machine; `grades` by (model, rank)."""
    trials = collect_trials(folders)
    candidates: dict[tuple[str, str, str], Candidate] = {}
    for trial, (model, rank) in zip(trials, label_trials(trials), strict=True):
        new = Candidate(model, trial.machine, rank, grades.get((model, rank)))
        candidates.setdefault((trial.machine, model, rank), new).trials.append(trial)
    groups: dict[tuple[str, str], ModelGroup] = {}
    for one in candidates.values():
        groups.setdefault((one.machine, one.model), ModelGroup(one.model, one.machine, [])).candidates.append(one)
    for group in groups.values():
        group.candidates.sort(key=lambda one: (one.rank_number, one.rank))
        inference = {key: value for key, value in take_medians(group.timed).items() if key.startswith("infer/")}
        for one in group.candidates:
            one.inference = inference
    machines = list(dict.fromkeys(trial.machine for trial in trials))
    return sorted(groups.values(), key=lambda group: machines.index(group.machine))
