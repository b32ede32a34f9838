"""Questions with reference and generated answers, one JSON line each."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ohlora.files import encode_json, read_jsonl, write_atomic


@dataclass(frozen=True)
class Sample:
    """`ended`: the answer ended with a stop token or a stop text, not at the length limit; None if not checked.

    `category`: that of the row; None if the data have no categories. `retries`: the answers that were not kept, in
    the order they were given, each with its `reasons` (ohlora/generation/faults.py) and `answer`; None without any.
    """

    id: str
    question: str
    reference: str
    answer: str
    ended: bool | None = None
    category: str | None = None
    retries: list[dict[str, Any]] | None = None


def write_samples(path: Path, samples: list[Sample]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ({key: value for key, value in asdict(sample).items() if value is not None} for sample in samples)
    write_atomic(path, "".join(encode_json(line) + "\n" for line in lines))


def read_samples(path: Path) -> list[Sample]:
    return [Sample(**line) for line in read_jsonl(path)]
