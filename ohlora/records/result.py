"""The result of a run: schema 1 of `result.json`, documented in docs/result.md. Written atomically, last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import Any

from ohlora.files import read_json, restore_numbers, write_json
from ohlora.records.manifest import TRACKS

SCHEMA = 1


class Status(str, Enum):
    """How a run ended; `skipped`: it was not started, for a reason known beforehand."""

    finished = "finished"
    failed = "failed"
    oom = "oom"
    killed = "killed"
    timeout = "timeout"
    unsupported = "unsupported"
    cancelled = "cancelled"
    skipped = "skipped"


KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("run_id", "task", "arm", "track"), str),
    **dict.fromkeys(("repeat", "order", "redo"), int),
    "reason": (dict, type(None)),
    **dict.fromkeys(
        (
            "requested",
            "effective",
            "versions",
            "device",
            "model",
            "hashes",
            "parity",
            "arguments",
            "metrics",
            "estimate",
            "disturbance",
            "timings",
        ),
        dict,
    ),
}  # fields that readers rely on
TIMES = ("started", "ended")
GROUPS = ("backend", "model", "trainer", "generation", "decoding", "lora", "report", "data", "launch")
EXIT_CODES = {Status.finished: 0, Status.unsupported: 2, Status.cancelled: 130, Status.skipped: 2}


@dataclass
class PhaseRecord:
    """The record of one child process: `phases/<name>.json`. Keys of `metrics` are 'phase/name'."""

    status: str
    reason: dict[str, str] | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    effective: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    device: dict[str, Any] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    parity: dict[str, Any] = field(default_factory=dict)
    arguments: dict[str, Any] = field(default_factory=dict)
    estimate: dict[str, Any] = field(default_factory=dict)
    disturbance: dict[str, dict[str, Any]] = field(default_factory=dict)
    timings: dict[str, Any] = field(default_factory=dict)


@dataclass
class Result:
    """One run. Numbers in `metrics` follow docs/result.md; absent means not measured, never 0.

    `redo` counts how often it, or its pair, was repeated because of a disturbance.
    """

    run_id: str
    status: str
    task: str
    arm: str
    repeat: int = 0
    order: int = 0
    track: str = ""
    reason: dict[str, str] | None = None
    requested: dict[str, Any] = field(default_factory=dict)
    effective: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    device: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    parity: dict[str, Any] = field(default_factory=dict)
    arguments: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    estimate: dict[str, Any] = field(default_factory=dict)
    disturbance: dict[str, dict[str, Any]] = field(default_factory=dict)
    timings: dict[str, Any] = field(default_factory=dict)
    redo: int = 0
    schema: int = SCHEMA

    def add(self, phase: str, record: PhaseRecord) -> None:
        """Add the record of one process. The first process's load is `load/…`, a later one's `<phase>_load/…`."""
        load = f"{phase}_load" if any(key.startswith("load/") for key in self.metrics) else "load"
        for key, value in record.metrics.items():
            self.metrics[f"{load}/{key[len('load/') :]}" if key.startswith("load/") else key] = value
        self.disturbance |= {load if key == "load" else key: found for key, found in record.disturbance.items()}
        common = {k: v for k, v in record.effective.items() if not isinstance(v, dict)}
        self.effective = {
            **self.effective,
            **common,
            **{k: v for k, v in record.effective.items() if isinstance(v, dict)},
        }
        self.versions |= record.versions
        self.device |= record.device
        self.hashes |= record.hashes
        self.parity |= record.parity
        self.arguments |= record.arguments
        self.estimate |= record.estimate
        self.timings[phase] = record.timings
        self.status, self.reason = record.status, record.reason

    def write(self, folder: Path) -> None:
        write_json(folder / "result.json", asdict(self))


def read_phase(path: Path) -> PhaseRecord:
    """Read the record of a child process."""
    record = PhaseRecord(**read_json(path))
    _restore(record)
    return record


def _restore(record: PhaseRecord | Result) -> None:
    """Restore numbers that JSON cannot express, such as the NaN loss of a diverged training."""
    record.metrics, record.parity = restore_numbers(record.metrics), restore_numbers(record.parity)


def read_result(path: Path) -> Result:
    """Read a result file of schema 1; fields that this version does not know are dropped.

    Raises:
        ValueError: not a complete result of schema 1.
    """
    raw = read_json(path)
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        raise ValueError(f"{path}: not a result of schema {SCHEMA}")
    known = {item.name for item in fields(Result)}
    try:
        result = Result(**{key: value for key, value in raw.items() if key in known})
        result.status = Status(result.status).value
        _restore(result)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None
    wrong = list(_of_other_types(result))
    if wrong:
        raise ValueError(f"{path}: wrong types for schema {SCHEMA}: {', '.join(wrong[:5])}")
    return result


def find_result(folder: Path) -> Result | None:
    """The result in a run directory or an attempt; None if there is none, or only a broken one."""
    try:
        return read_result(folder / "result.json")
    except (OSError, ValueError):
        return None


def _of_other_types(result: Result) -> Iterator[str]:
    """The fields with a wrong type."""
    number = (int, float)
    for name, kinds in KINDS.items():
        if not isinstance(getattr(result, name), kinds):
            yield name
            return
    if result.track not in TRACKS:
        yield f"track={result.track!r}"
    yield from (f"disturbance.{key}" for key, record in result.disturbance.items() if not isinstance(record, dict))
    yield from (f"metrics.{key}" for key, value in result.metrics.items() if not isinstance(value, number))
    yield from (f"timings.{key}" for key in TIMES if not isinstance(result.timings.get(key, 0.0), number))
    yield from (f"requested.{key}" for key in GROUPS if not isinstance(result.requested.get(key, {}), dict))
    for key in ("losses", "grad_norms"):
        values = result.parity.get(key, [])
        if not isinstance(values, list) or not all(isinstance(value, number) for value in values):
            yield f"parity.{key}"


def exit_code(results: Iterable[Result]) -> int:
    """0: all finished; 130: one was cancelled; 2: only bad input or unsupported back ends failed; else 1."""
    codes = {_exit_code(result) for result in results}
    return next((code for code in (130, 1, 2, 0) if code in codes), 1)


def _exit_code(result: Result) -> int:
    if (result.reason or {}).get("code") == "bad_input":
        return 2
    return EXIT_CODES.get(Status(result.status), 1)
