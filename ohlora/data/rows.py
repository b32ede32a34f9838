"""Read a file of question–answer pairs."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ohlora.config.choices import Split
from ohlora.config.schema import ColumnsConfig, DataConfig
from ohlora.errors import UserError, suggest
from ohlora.files import sha256_file

PACKAGED = Path(__file__).with_name("ohlora.csv")
SPLITS = tuple(split.value for split in Split)
VALIDATION_SHARE = 0.2  # the last rows of a file without a split column


@dataclass(frozen=True)
class Row:
    """One pair. `memory` is text before the prompt, '' or '[key: value]'."""

    id: str
    split: str
    category: str
    prompt: str
    response: str
    memory: str = ""

    @property
    def question(self) -> str:
        """The text for the model: the memory, if any, then the prompt."""
        return f"{self.memory} {self.prompt}".strip()


class DataFiles:
    """Data files, each read and hashed once for all runs of a command."""

    def __init__(self) -> None:
        self._rows: dict[str, list[Row]] = {}
        self._hashes: dict[Path, str] = {}

    def rows(self, data: DataConfig) -> list[Row]:
        """All rows of this data option; raises like `load_rows`."""
        key = repr(data)
        if key not in self._rows:
            self._rows[key] = load_rows(data)
        return self._rows[key]

    def hash(self, data: DataConfig) -> str:
        """sha256 of the file's bytes."""
        path = data_path(data)
        if path not in self._hashes:
            self._hashes[path] = sha256_file(path)
        return self._hashes[path]


def data_path(data: DataConfig) -> Path:
    """The user's file, or the shipped data set."""
    return Path(data.path) if data.path else PACKAGED


def load_rows(data: DataConfig) -> list[Row]:
    """Read all rows of the data file.

    Raises:
        UserError: file missing, empty, not UTF-8, a column missing, an incomplete pair; with line numbers.
    """
    path = data_path(data)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"data.path={path}: cannot be read ({error.strerror})") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UserError(
            f"data.path={path}: line {line} is not UTF-8; save the file as UTF-8 (a Korean Excel file is often "
            "CP949: 'CSV UTF-8' in the save dialogue)"
        ) from None
    if not text.strip():
        raise UserError(f"data.path={path}: the file is empty; it needs a prompt and a response for every row")
    records = list(_csv(text, path) if data.format == "csv" else _jsonl(text, path))
    if not records:
        raise UserError(f"data.path={path}: it has a header but no rows")
    return _rows(records, data.columns, path)


def _csv(text: str, path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for record in reader:
            if None in record:
                raise UserError(
                    f"data.path={path}: line {reader.line_num} has more fields than the header; "
                    "put quotation marks around text with commas"
                )
            yield reader.line_num, {key: value or "" for key, value in record.items()}
    except csv.Error as error:
        raise UserError(f"data.path={path}: line {reader.line_num} is not CSV ({error})") from None


def _jsonl(text: str, path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise UserError(f"data.path={path}: line {number} is not JSON ({error})") from None
        if not isinstance(record, dict):
            raise UserError(f'data.path={path}: line {number} is not a JSON object such as {{"prompt": …}}')
        for key, value in record.items():
            if not isinstance(value, str | int | float | None):
                raise UserError(f"data.path={path}: line {number}: {key} is a {type(value).__name__}, not text")
        yield number, {key: "" if value is None else str(value) for key, value in record.items()}


def _rows(records: list[tuple[int, dict[str, str]]], columns: ColumnsConfig, path: Path) -> list[Row]:
    have = set().union(*(record for _, record in records))
    usual = ColumnsConfig()
    problems = [
        f"data.columns.{key}={name}: {path} has no such column; it has {', '.join(sorted(have))}{suggest(name, have)}"
        for key, name in vars(columns).items()
        if name is not None and name not in have and (key in ("prompt", "response") or name != getattr(usual, key))
    ]
    if problems:
        raise UserError(problems)

    def cell(record: dict[str, str], name: str | None) -> str:
        return record.get(name, "").strip() if name else ""

    has_split = columns.split in have
    first_held_out = len(records) - max(1, round(len(records) * VALIDATION_SHARE)) if len(records) > 1 else 1
    rows = []
    for index, (line, record) in enumerate(records):
        split = cell(record, columns.split) if has_split else ("train" if index < first_held_out else "validation")
        row = Row(
            id=cell(record, columns.id) or str(index + 1),
            split=split,
            category=cell(record, columns.category),
            prompt=cell(record, columns.prompt),
            response=cell(record, columns.response),
            memory=cell(record, columns.memory),
        )
        if not row.prompt or not row.response:
            problems.append(f"data.path={path}: line {line} has an empty prompt or response")
        if split not in SPLITS:
            problems.append(f"data.path={path}: line {line}: split={split!r}: choose from {', '.join(SPLITS)}")
        rows.append(row)
    counts = Counter(row.id for row in rows)
    twice = [row for row, count in counts.items() if count > 1]
    if twice:
        problems.append(f"data.path={path}: duplicate ids: {', '.join(twice[:5])}")
    if problems:
        raise UserError(problems[:10] + ([f"… and {len(problems) - 10} more"] if len(problems) > 10 else []))
    return rows
