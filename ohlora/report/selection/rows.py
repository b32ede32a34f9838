"""The runs of task=selection, from one folder or several, as candidates: a model on a machine, at its LoRA ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import inf, isfinite
from pathlib import Path
from statistics import median
from typing import Any

from ohlora.records.layout import attempts
from ohlora.records.result import Result, Status
from ohlora.records.samples import Sample, read_samples
from ohlora.report.comparison.headline import memory_key
from ohlora.report.markdown import NO_VALUE
from ohlora.report.reading import Held
from ohlora.report.selection.asked import of_job, of_run
from ohlora.report.selection.labels import Row, label_rows

TASK = "selection"
NOT_RUN = "not run"


@dataclass
class Entry:
    """A model at one rank on one machine. `runs` are its repeats, each with its run directory; `missing` never ran.

    `model` and `rank` name what else differed: 'gemma3-270m backend=unsloth', '16 learning_rate=0.0001'.
    """

    model: str
    machine: str
    rank: str
    runs: list[tuple[Path, Result]] = field(default_factory=list)
    grade: float | None = None
    missing: int = 0

    @property
    def name(self) -> str:
        return f"{self.model} r{self.rank}"

    @property
    def number(self) -> int:
        """The rank as a number, to sort by; 0 where it is not known."""
        first = self.rank.split()[0]
        return int(first) if first.isdecimal() else 0

    @property
    def results(self) -> list[Result]:
        return [result for _, result in self.runs]

    @property
    def finished(self) -> bool:
        return any(result.status == Status.finished.value for result in self.results)

    @property
    def status(self) -> str:
        """'finished' where one repeat finished, else how the first ended."""
        if self.finished:
            return Status.finished.value
        return self.results[0].status if self.runs else NOT_RUN

    @property
    def reason(self) -> dict[str, str]:
        return {} if self.finished or not self.runs else self.results[0].reason or {}

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Medians over the repeats that finished; of one that broke off, what it measured."""
        return medians([r for r in self.results if r.status == Status.finished.value] or self.results)

    @cached_property
    def samples(self) -> list[Sample]:
        """The fine-tuned model's answers, of the first repeat that left any."""
        paths = [p / "samples" / "answer.jsonl" for folder, _ in self.runs for p in attempts(folder)[::-1]]
        return next((read_samples(path) for path in paths if path.is_file()), [])


@dataclass
class Candidate:
    """A model on a machine; `entries` by rank. The base model's inference is the same at every rank: one median.

    `known` are its facts from elsewhere, for a model of which no run here left any.
    """

    model: str
    machine: str
    entries: list[Entry]
    known: dict[str, Any] = field(default_factory=dict)

    @property
    def results(self) -> list[Result]:
        return [result for entry in self.entries for result in entry.results]

    def fact(self, measured: str, asked: str) -> Any:
        """A fact of the model: what was found when it ran, else what its option says, else what is known elsewhere."""
        found = [r.model.get(measured) for r in self.results]
        found += [(r.requested.get("model") or {}).get(asked) for r in self.results]
        found.append(self.known.get(measured))
        return next((value for value in found if value is not None), None)

    @property
    def licence(self) -> str:
        return str(self.fact("licence", "license") or "unknown")

    @property
    def params_m(self) -> float | None:
        value = self.fact("params_m", "params_m")
        return float(value) if isinstance(value, int | float) else None

    @cached_property
    def inference(self) -> tuple[dict[str, float], int]:
        """Medians of 'infer/…' over all runs that timed it, and how many did."""
        timed = [r for r in self.results if "infer/infer_time_s" in r.metrics]
        return {k: v for k, v in medians(timed).items() if k.startswith("infer/")}, len(timed)

    def figures(self, entry: Entry) -> dict[str, float]:
        """What an entry is ranked by; absent is what was not measured. A loss that is no number is infinitely bad."""
        metrics, infer = entry.metrics, self.inference[0]
        found = {
            "usable_chrf": metrics.get("quality/usable_chrf"),
            "bits": metrics.get("eval/eval_bits_per_char"),
            "train_memory": metrics.get(memory_key(metrics, "train") or ""),
            "infer_memory": infer.get(memory_key(infer, "infer") or ""),
            "train_time": metrics.get("train/train_time_s"),
            "infer_time": infer.get("infer/infer_time_s"),
            "grade": entry.grade,
        }
        if not isfinite(metrics.get("eval/eval_loss", 0.0)):
            found["bits"] = inf
        return {key: value for key, value in found.items() if value is not None}


def candidates(held: Sequence[Held]) -> list[Candidate]:
    """Every model of every folder, in the order of the plans; runs of another task are left out."""
    rows = [row for number, one in enumerate(held) for row in _rows(one, number)]
    entries: dict[tuple[str, str, str], Entry] = {}
    known: dict[tuple[str, str], dict[str, Any]] = {}
    for row, named in zip(rows, label_rows(rows), strict=True):
        entry = entries.setdefault((row.machine, named.model, named.rank), Entry(named.model, row.machine, named.rank))
        if row.run is None:
            entry.missing += 1
        else:
            entry.runs.append((_directory(held[row.folder].folder, row.run), row.run))
        known[row.machine, named.model] = named.facts
    found: dict[tuple[str, str], Candidate] = {}
    for entry in entries.values():
        key = (entry.machine, entry.model)
        found.setdefault(key, Candidate(entry.model, entry.machine, [], known[key])).entries.append(entry)
    for candidate in found.values():
        candidate.entries.sort(key=lambda entry: (entry.number, entry.rank))
    return sorted(found.values(), key=lambda candidate: list(_machines(held)).index(candidate.machine))


def medians(results: Sequence[Result]) -> dict[str, float]:
    """Of each metric, over the results that have it."""
    keys = dict.fromkeys(key for result in results for key in result.metrics)
    return {key: median([r.metrics[key] for r in results if key in r.metrics]) for key in keys}


def machine_of(device: dict[str, Any]) -> str:
    return f"{device.get('name')}, {device.get('vram_mib', device.get('ram_mib'))} MiB" if device else NO_VALUE


def _rows(held: Held, number: int) -> list[Row]:
    """Each run, and each planned one that left no result, in the order of the plan; `number` is the folder's."""
    here = _machine(held)
    everything = [run for arm in held.arms for run in arm.runs]
    jobs = held.manifest.jobs if held.manifest else []
    places = {job.run_id: i for i, job in enumerate(jobs)}
    rows = [
        Row(of_run(run), machine_of(run.device) if run.device else here, number, places.get(run.run_id, i), run)
        for i, run in enumerate(run for run in everything if run.task == TASK)
    ]
    asked, there = [row.asked for row in rows], {run.run_id for run in everything}
    rows += [Row(of_job(job, asked), here, number, places[job.run_id]) for job in jobs if job.run_id not in there]
    return sorted(rows, key=lambda row: row.place)


def _machines(held: Sequence[Held]) -> dict[str, None]:
    """Every machine, in the order of the folders."""
    found: dict[str, None] = {}
    for one in held:
        devices = [run.device for arm in one.arms for run in arm.runs if run.task == TASK and run.device]
        found |= dict.fromkeys([*map(machine_of, devices), _machine(one)])
    return found


def _machine(held: Held) -> str:
    """Where a run that never started would have run: on the machine of the folder's other runs."""
    devices = [run.device for arm in held.arms for run in arm.runs if run.device]
    return machine_of(devices[0]) if devices else NO_VALUE


def _directory(folder: Path, run: Result) -> Path:
    return folder if (folder / "result.json").is_file() else folder / run.run_id
