"""The rows of data files: read by `records`, brought into one shape, cleaned, split, each with its place."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ohlora.config.choices import Split
from ohlora.config.schema import ColumnsConfig, DataConfig
from ohlora.data.notes import Notes, Place
from ohlora.data.published import licence_note
from ohlora.data.records import Record, read_records
from ohlora.data.shapes import PROMPTS, RESPONSES, Shape, Turn, find_shape, read_conversation
from ohlora.data.sources import data_files
from ohlora.data.splits import draw_validation, explain_split, name_splits, read_file_splits
from ohlora.data.texts import clean_text
from ohlora.errors import UserError, suggest
from ohlora.files import sha256_file, sha256_of

SHOWN = 10  # problems of one data set
# What a good answer shows, as the judge reads it, and the type of each value.
CHECKS: dict[str, type] = {
    "fact": str, "writes": str, "uses": str, "ignores": str, "refuses": bool, "crisis": bool, "emergency": str,
    "contains": str, "unknown": bool,
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One question and its answer. `memory`: '' or one or more '[key: value]', text before the prompt.

    `response` is '' for a held-out row that is only asked. `history`: the turns before the prompt, oldest first.
    `checks`: what a good answer shows. `file` and `line`: where the row begins.
    """

    id: str
    split: str
    category: str
    prompt: str
    response: str
    memory: str = ""
    system: str = ""
    history: tuple[Turn, ...] = ()
    checks: Mapping[str, Any] = field(default_factory=dict)
    file: str = ""
    line: int = 0

    @property
    def question(self) -> str:
        """The text of the last user turn for the model: the memory, if any, then the prompt."""
        return f"{self.memory} {self.prompt}".strip()

    @property
    def asked_characters(self) -> int:
        """Characters before the answer: system text, earlier turns, question."""
        return len(self.system) + sum(len(turn.text) for turn in self.history) + len(self.question)

    @property
    def place(self) -> Place:
        return Place(self.file, self.line)

    def tokenised(self) -> tuple[Any, ...]:
        """What decides this row's tokens."""
        turns = tuple((turn.role, turn.text) for turn in self.history)
        return (self.id, self.question, self.response, self.system, turns)


class DataFiles:
    """Data sets, each read and hashed once for all runs of a command."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[list[Row], Notes]] = {}
        self._hashes: dict[tuple[Path, ...], str] = {}

    def rows(self, data: DataConfig) -> list[Row]:
        """All rows of this data option; raises like `load_rows`."""
        return self._read(data)[0]

    def notes(self, data: DataConfig) -> Notes:
        """What reading changed, dropped and assumed; raises like `load_rows`."""
        return self._read(data)[1]

    def hash(self, data: DataConfig) -> str:
        """sha256 of the bytes of the file, or of all files."""
        paths = tuple(data_files(data))
        if paths not in self._hashes:
            digests = [sha256_file(path) for path in paths]
            self._hashes[paths] = digests[0] if len(digests) == 1 else sha256_of(digests)
        return self._hashes[paths]

    def _read(self, data: DataConfig) -> tuple[list[Row], Notes]:
        key = repr(data)
        if key not in self._rows:
            notes = Notes()
            self._rows[key] = (load_rows(data, notes), notes)
        return self._rows[key]


def load_rows(data: DataConfig, notes: Notes | None = None) -> list[Row]:
    """Read all rows of all data files.

    Raises:
        UserError: a file missing or unreadable, a column missing, an incomplete pair; with file and line.
    """
    notes = Notes() if notes is None else notes
    paths = data_files(data)
    rows: list[Row] = []
    problems: list[str] = []
    for path in paths:
        records = read_records(
            path, path.name if len(paths) > 1 else "", notes, format=data.format, separator=data.separator.value,
            encoding=data.encoding,
        )  # fmt: skip
        reader = _Reader(path, records, data, notes, first=len(rows) + 1)
        read, found = reader.read()
        rows += read
        problems += found
    if not problems:
        twice = [row for row, count in Counter(row.id for row in rows).items() if count > 1]
        problems += [f"{_where(data)}: duplicate ids: {', '.join(twice[:5])}"] if twice else []
    if data.repo:
        notes.say(licence_note(data))
    if problems:
        raise UserError(problems[:SHOWN] + ([f"… and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []))
    return _finish_splits(rows, data, notes)


def _where(data: DataConfig) -> str:
    return f"data.path={data.path}" if data.path else f"data={data.name}"


class _Reader:
    """The records of one file become rows; problems are collected with their lines."""

    def __init__(self, path: Path, records: list[Record], data: DataConfig, notes: Notes, first: int) -> None:
        self.path, self.records, self.data, self.notes, self.first = path, records, data, notes, first
        self.columns = _column_names(data.columns)
        have = {_nfc(name): name for record in records for name in record.cells}
        self.names = {name: actual for name, actual in have.items() if name}
        self.shape = self._find_shape()
        split = self.columns["split"]
        filled = split in self.names and any(str(self._cell(r, split) or "").strip() for r in records)
        self.split = split if filled else None

    def _find_shape(self) -> Shape:
        have = set(self.names)
        usual = _column_names(ColumnsConfig())
        asked = {k: n for k, n in self.columns.items() if n is not None and n != usual[k]}
        shape = find_shape(have, str(self.columns["prompt"]), str(self.columns["response"]))
        missing = [k for k, n in asked.items() if n not in have]
        if missing:
            raise UserError(
                f"data.columns.{key}={asked[key]}: {self.path} has no such column; it has {', '.join(sorted(have))}"
                f"{suggest(str(asked[key]), have)}"
                for key in missing
            )
        if shape is None:
            raise UserError(
                f"data.path={self.path}: no column for the questions and one for the answers among "
                f"{', '.join(sorted(have))}; "
                f"usual names are {', '.join(PROMPTS[:3])}, 질문 and {', '.join(RESPONSES[:3])}, 답변, or "
                "messages; name yours "
                "with data.columns.prompt=… and data.columns.response=…, and see that the first row of a table is "
                "its header"
            )
        if shape.turns:
            self.notes.say(f"conversations in the column {shape.turns}")
        elif (shape.prompt, shape.response) != (usual["prompt"], usual["response"]):
            second = f" and {shape.second}" if shape.second else ""
            self.notes.say(f"questions in the column {shape.prompt}{second}, answers in {shape.response}")
        return shape

    def _cell(self, record: Record, name: str | None) -> Any:
        return record.cells.get(self.names.get(name or "", ""))

    def read(self) -> tuple[list[Row], list[str]]:
        rows: list[Row] = []
        problems: list[str] = []
        words = name_splits(self.data.split_values)
        for index, record in enumerate(self.records, self.first):
            try:
                row = self._row(record, index)
                if self.split:
                    split = words.get(row.split.lower())
                    if split is None:
                        raise ValueError(explain_split(row.split))
                    row = replace(row, split=split)
                    if split == Split.train.value and not row.response:
                        raise ValueError("a training row needs an answer; the response is empty")
                rows.append(row)
            except ValueError as error:
                problems.append(f"data.path={self.path}: line {record.place.line}: {error}")
        return rows, problems

    def _row(self, record: Record, index: int) -> Row:
        cells = {_nfc(name): value for name, value in record.cells.items()}
        spoken = read_conversation({k: v for k, v in cells.items() if k}, self.shape, record.place, self.notes)
        if not spoken.prompt:
            raise ValueError("the prompt is empty")
        text = {
            key: clean_text(self._cell(record, name), key, record.place, self.notes) if name in self.names else ""
            for key, name in self.columns.items()
            if key in ("id", "category", "memory", "split")
        }
        return Row(
            id=text["id"] or str(index),
            split=text["split"],
            category=text["category"],
            prompt=spoken.prompt,
            response=spoken.response,
            memory=text["memory"],
            system=spoken.system,
            history=spoken.history,
            checks=_read_checks(self._cell(record, self.columns["checks"])),
            file=record.place.file,
            line=record.place.line,
        )


def _read_checks(value: Any) -> Mapping[str, Any]:
    """What a good answer shows; in a table a cell of JSON."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return {}
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, dict):
        raise ValueError('checks must be an object such as {"fact": "name"}')
    for key, given in value.items():
        if key not in CHECKS:
            raise ValueError(f"checks.{key} is unknown; choose from {', '.join(CHECKS)}{suggest(key, CHECKS)}")
        if not isinstance(given, CHECKS[key]):
            raise ValueError(f"checks.{key} must be {'true or false' if CHECKS[key] is bool else 'text'}")
    return value


def _finish_splits(rows: list[Row], data: DataConfig, notes: Notes) -> list[Row]:
    """Take the splits from the file names, or draw them, where there is no column for them; note what was found."""
    if any(not row.split for row in rows):
        if any(row.split for row in rows):
            raise UserError(
                f"{_where(data)}: some files have a split column and some have none; add it to all, or to none"
            )
        said = read_file_splits({row.file for row in rows}, data.split_values)
        rows = [replace(row, split=said.get(row.file, "")) for row in rows]
        if said:
            notes.say("no split column: " + ", ".join(f"{name} is {split}" for name, split in sorted(said.items())))
            for row in rows:
                if row.split == Split.train.value and not row.response:
                    raise UserError(
                        f"{row.file}: line {row.line}: a training row needs an answer; the response is empty"
                    )
    if any(not row.split for row in rows):
        held, repeated = draw_validation(rows, data.split_seed)
        rows = [
            replace(row, split=(Split.validation if index in held else Split.train).value)
            for index, row in enumerate(rows)
        ]
        notes.say(
            f"no split column: drawn by data.split_seed={data.split_seed}, the same share of every category; rows for "
            f"training: {len(rows) - len(held)}, for validation: {len(held)}"
        )
        if repeated:
            notes.say("a question of validation is also in training: every row asks the same")
    silent = sum(not row.response for row in rows)
    if silent:
        notes.say(f"{silent} held-out rows without an answer: they are asked, and count in no loss")
    return rows


def _column_names(given: ColumnsConfig) -> dict[str, str | None]:
    names = {
        "prompt": given.prompt, "response": given.response, "split": given.split, "id": given.id,
        "category": given.category, "memory": given.memory, "checks": given.checks,
    }  # fmt: skip
    return {key: _nfc(name) for key, name in names.items()}


def _nfc(name: str | None) -> str | None:
    return None if name is None else unicodedata.normalize("NFC", str(name)).strip()
