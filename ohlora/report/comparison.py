"""Run folders -> one comparison: arms, their medians, how each run ended. Everything derives from the files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from math import isfinite
from pathlib import Path
from statistics import median
from typing import Any

from ohlora.config.identity import VOLATILE
from ohlora.errors import UserError
from ohlora.files import read_json
from ohlora.result import Result, Status, exit_code, read_result

MIN_PAIRS = 4  # fewer give no verdict
NOT_COMPARABLE = "NOT COMPARABLE"


@dataclass
class Arm:
    """The runs of one arm. `planned` runs that left no result count as not run."""

    name: str
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

    def metrics(self) -> dict[str, float]:
        """Median of each metric over the runs that have it; a run that broke off keeps what it measured."""
        keys = sorted({key for run in self.runs for key in run.metrics})
        return {key: median([run.metrics[key] for run in self.runs if key in run.metrics]) for key in keys}


@dataclass
class Comparison:
    """What a sweep folder holds. `notes` say what a reader must know before believing a number."""

    arms: list[Arm]
    notes: list[str]
    unreadable: list[str]

    @property
    def comparable(self) -> bool:
        """False when something that must be equal was not: then nothing may be said of what is saved."""
        return not any(note.startswith(NOT_COMPARABLE) for note in self.notes)

    @property
    def runs(self) -> list[Result]:
        return [run for arm in self.arms for run in arm.runs]

    def exit_code(self) -> int:
        """Of all runs; a planned run that left no result is a failure."""
        missing = sum(arm.planned for arm in self.arms) > len(self.runs)
        return exit_code(self.runs) or int(missing)

    def as_dict(self) -> dict[str, Any]:
        """comparison.json, schema 1."""
        return {
            "schema": 1,
            "verdict": "no_verdict" if self.comparable else "not_comparable",
            "pairs": min((len(arm.finished) for arm in self.arms), default=0),
            "notes": self.notes,
            "unreadable": self.unreadable,
            "arms": [
                {
                    "name": arm.name,
                    "overrides": arm.overrides,
                    "backend": arm.backend,
                    "planned": arm.planned,
                    "status": [run.status for run in arm.runs],
                    "reasons": [run.reason for run in arm.runs if run.reason],
                    "runs": [run.run_id for run in arm.runs],
                    "metrics": arm.metrics(),
                }
                for arm in self.arms
            ],
        }


def read_comparison(folder: Path) -> Comparison:
    """Read a sweep folder, or a single run's.

    Raises:
        UserError: no such folder, or nothing in it that this version can read.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give the folder of a sweep, for example outputs/<study>")
    runs, unreadable = [], []
    paths = [folder / "result.json"] if (folder / "result.json").is_file() else sorted(folder.glob("*/result.json"))
    for path in paths:
        try:
            runs.append(read_result(path))
        except ValueError as error:
            unreadable.append(f"{path.parent.name}: {error}")
    ended = {path.parent for path in paths}
    lost = sorted({path.parent for path in folder.glob("*/attempt-*")} - ended)
    unreadable += [
        f"{path.name}: no result; it was killed together with its parent, or it is still running" for path in lost
    ]
    manifest = _manifest(folder, unreadable)
    planned = {job.get("run_id") for job in manifest.get("planned", [])}
    foreign = [run.run_id for run in runs if planned and run.run_id not in planned]
    runs = [run for run in runs if run.run_id not in foreign]
    unreadable += [f"{name}: not of this sweep's plan, left out" for name in foreign]
    if not runs and not manifest:
        detail = f" ({'; '.join(unreadable)})" if unreadable else ""
        raise UserError(f"{folder}: no result.json in it or one level below that can be read{detail}")
    arms = _arms(runs, manifest)
    return Comparison(arms, list(_notes(arms)), unreadable)


def _manifest(folder: Path, unreadable: list[str]) -> dict[str, Any]:
    path = folder / "manifest.json"
    if not path.is_file():
        return {}
    try:
        manifest = read_json(path)
        for entry in manifest["arms"]:
            entry["name"], entry["overrides"]
        for job in manifest["planned"]:
            job["arm"], job["run_id"]
        return dict(manifest)
    except (ValueError, KeyError, TypeError) as error:
        unreadable.append(f"manifest.json: {error}")
        return {}


def _arms(runs: list[Result], manifest: dict[str, Any]) -> list[Arm]:
    arms: dict[str, Arm] = {}
    for entry in manifest.get("arms", []):
        arms[entry["name"]] = Arm(entry["name"], list(entry.get("overrides", [])))
    for planned in manifest.get("planned", []):
        arms.setdefault(planned["arm"], Arm(planned["arm"])).planned += 1
    for run in sorted(runs, key=lambda run: (run.order, run.repeat)):
        arm = arms.setdefault(run.arm, Arm(run.arm))
        if arm.runs and _work(arm.runs[0]) != _work(run):  # the same back end, another question asked of it
            arm = arms.setdefault(run.run_id, Arm(run.run_id))
        arm.runs.append(run)
    for arm in arms.values():
        arm.planned = max(arm.planned, len(arm.runs))
    return list(arms.values())


def _work(run: Result) -> str:
    """What a run was asked to do, whichever repeat it is and wherever its files lie."""
    return repr(sorted((key, value) for key, value in run.requested.items() if key not in VOLATILE))


def _notes(arms: list[Arm]) -> Iterator[str]:
    runs = [run for arm in arms for run in arm.runs]
    pairs = min((len(arm.finished) for arm in arms), default=0)
    if any((run.requested.get("trainer") or {}).get("name") == "smoke" for run in runs):
        yield f"{NOT_COMPARABLE}: trainer=smoke only shows that everything runs; it is too short to measure anything"
    if len(arms) < 2:
        yield "one arm only: nothing to compare with"
    elif pairs < MIN_PAIRS:
        yield f"{'one pair' if pairs == 1 else f'{pairs} pairs'}: no verdict (a verdict needs {MIN_PAIRS})"
    spans = sorted((run.timings["started"], run.timings["ended"]) for run in runs if "ended" in run.timings)
    if any(later[0] < earlier[1] for earlier, later in pairwise(spans)):
        yield f"{NOT_COMPARABLE}: runs overlapped in time and shared the machine"
    if len(arms) > 1 and pairs > 1:
        yield "not interleaved: the arms ran in the sweep's order, so a drift of the machine falls on one of them"
    for device in sorted({str(run.device.get("name")) for run in runs if run.device}):
        yield f"device: {device}"
    if len({str(run.device.get("name")) for run in runs if run.device}) > 1:
        yield "different machines: times cannot be compared across them"
    if any(run.device.get("type") == "cpu" for run in runs):
        yield "memory is resident memory (RSS); figures of a CPU say nothing about a GPU"
    for label in sorted({str(run.model.get("label")) for run in runs if run.model}):
        yield f"model: {label}"
    yield from _unequal(runs)


# What must be equal in all runs, and the parts of the configuration that decide it: where the user asked for
# different parts, a difference is what was asked for.
HASHES = {
    "tokens": ("token ids", ("data", "model", "generation")),
    "batches": ("batches", ("data", "model", "trainer", "seed")),
    "adapter_init": ("first adapters", ("model", "lora", "seed")),
}
MUST_BE_EQUAL = frozenset(
    {
        "dtype",
        "adapter_dtype",
        "mixed_precision",
        "quantization",
        "trainable_parameters",
        "steps",
        "loss",
        "truncated_rows",
    }
)
EXPECTED_TO_DIFFER = frozenset({"backend", "infer.route", "train.route", "train.trainer_class"})


def _unequal(runs: list[Result]) -> Iterator[str]:
    """What makes these runs more different than they were asked to be."""
    for key, (words, parts) in HASHES.items():
        asked = {repr([run.requested.get(part) for part in parts]) for run in runs}
        if len(asked) == 1 and len({run.hashes[key] for run in runs if key in run.hashes}) > 1:
            yield f"{NOT_COMPARABLE}: the {words} differ between runs"
    for run in runs:
        broken = [key for key, value in run.metrics.items() if not isfinite(value)]
        if broken:
            yield f"{NOT_COMPARABLE}: {run.arm} has no finite {', '.join(broken)}"
    one_lora = len({repr(run.requested.get("lora")) for run in runs}) == 1
    in_effect = {run.arm: _flat(run.effective) for run in runs if run.status == Status.finished.value}
    for key in sorted(set().union(*in_effect.values()) - EXPECTED_TO_DIFFER if in_effect else ()):
        values = {arm: str(flat.get(key)) for arm, flat in in_effect.items() if key in flat}
        asked_for = one_lora is False and key.endswith("parameters")
        if len(set(values.values())) > 1 and not asked_for:
            must = key.rsplit(".", 1)[-1] in MUST_BE_EQUAL
            yield f"{f'{NOT_COMPARABLE}: ' if must else ''}differs in effect: {key} ({_values(values)})"


def _flat(effective: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in effective.items():
        flat |= {f"{key}.{inner}": v for inner, v in value.items()} if isinstance(value, dict) else {key: value}
    return flat


def _values(by_arm: dict[str, str]) -> str:
    return ", ".join(f"{arm}: {value}" for arm, value in by_arm.items())
