"""Read a file of question–answer pairs, and select the rows that a run uses."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ohlora.config.schema import ColumnsConfig, DataConfig, GenerationConfig, Split, TrainerConfig
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


@dataclass(frozen=True)
class Selection:
    """The rows of one run: for training, for evaluation, and as prompts."""

    train: list[Row]
    validation: list[Row]
    prompts: list[Row]


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


def select_rows(
    rows: list[Row], manifest: str | None, trainer: TrainerConfig, generation: GenerationConfig, trains: bool
) -> Selection:
    """Select a run's rows for training, evaluation and prompts from all rows of its file.

    With `data.manifest` its ids come first, in its order, so that `trainer.train_rows=20` is the user's test.

    Raises:
        UserError: fewer rows than requested, or none for training (if `trains`) or prompts.
    """
    listed = _manifest(manifest)
    hint = (
        f" in the list data.manifest={manifest}" if listed else " (without a split column the last fifth is validation)"
    )
    by_id = {row.id: row for row in rows}
    train = [row for row in rows if row.split == "train"]
    validation = [row for row in rows if row.split == "validation"]
    if trainer.train_rows is not None:
        chosen = [by_id[i] for i in listed.get("train", [])]
        train = _first("trainer.train_rows", chosen or train, trainer.train_rows, hint)
    if trainer.eval_rows is not None:
        chosen = [by_id[i] for i in listed.get("validation", [])]
        validation = _first("trainer.eval_rows", chosen or validation, trainer.eval_rows, hint)
    if trains and not train:
        raise UserError("data: no row has split train, so there is nothing to train on")
    prompts = _prompts(rows, train + validation, generation)
    if not prompts:
        raise UserError("data: no row has split train or validation; give generation.split=test to use others")
    return Selection(train, validation, prompts)


def select_held_out(rows: list[Row], count: int | None) -> list[Row]:
    """The first `count` rows of split test (null: all of them), or of split validation if there is no test row.

    Raises:
        UserError: every row is used for training.
    """
    for split in (Split.test.value, Split.validation.value):
        found = [row for row in rows if row.split == split]
        if found:
            return found[:count]
    raise UserError("data: no row has split test or validation, so the fine-tuned model has no new questions to answer")


def _prompts(rows: list[Row], used: list[Row], generation: GenerationConfig) -> list[Row]:
    if generation.ask:
        return [Row(f"ask-{n}", "test", "", text, "") for n, text in enumerate(generation.ask, 1)]
    split = generation.split
    if split is not None:
        used = [row for row in rows if row.split == split.value]
        if not used:
            have = sorted({row.split for row in rows})  # train before validation
            raise UserError(
                f"generation.split={split.value}: the data have no such rows; give generation.split={have[-1]}"
            )
    return used[: generation.prompts] if generation.prompts else used


def _first(key: str, rows: list[Row], count: int, hint: str) -> list[Row]:
    if count > len(rows):
        raise UserError(f"{key}={count}: there are only {len(rows)} such rows{hint}; null uses all of them")
    return rows[:count]


def _manifest(name: str | None) -> dict[str, list[str]]:
    if name is None:
        return {}
    path = Path(__file__).with_name(f"{name}.json")
    try:
        listed: dict[str, list[str]] = json.loads(path.read_text("utf-8"))
        return listed
    except OSError:
        raise UserError(f"data.manifest={name}: unknown list of ids; the shipped one is unsloth_test") from None


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
