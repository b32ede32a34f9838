"""Questions with their reference and generated answers, one JSON line each."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ohlora.files import read_jsonl, write_atomic


@dataclass(frozen=True)
class Sample:
    id: str
    question: str
    reference: str
    answer: str


def write_samples(path: Path, samples: list[Sample]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, "".join(json.dumps(asdict(s), ensure_ascii=False) + "\n" for s in samples))


def read_samples(path: Path) -> list[Sample]:
    return [Sample(**line) for line in read_jsonl(path)]
