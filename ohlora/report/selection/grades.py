"""A person's view of the answers: grades.csv (model, rank, grade from 1 to 5), read, or prepared to be filled in."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ohlora.errors import UserError

FILE = "grades.csv"
COLUMNS = ("model", "rank", "grade")
WORST, BEST = 1, 5
MANY = 10  # problems of a file that are said
Key = tuple[str, str]
Grades = dict[Key, float | None]


def read_grades(path: Path) -> Grades:
    """(model, rank) -> grade; None where none is given yet. `r16` is the rank 16.

    Raises:
        UserError: it cannot be read, a column is missing, a grade is none of 1–5; with line numbers.
    """
    grades, problems = usable_grades(path)
    if problems:
        raise UserError(problems[:MANY])
    return grades


def usable_grades(path: Path) -> tuple[Grades, list[str]]:
    """What of the file can be used, and what is wrong with the rest, whose grades are None.

    A slip of the pen in a file that is read by itself must not cost the report of hours of runs.
    """
    try:
        return _parsed(path.read_text("utf-8-sig"), path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        return {}, [f"{path}: cannot be read ({error})"]


def write_template(path: Path, keys: Sequence[Key]) -> None:
    """A file to fill in, beside the report. Of a person's file every byte stays as it is; missing lines are added.

    A file that cannot be read as grades is left alone.
    """
    if not path.is_file():
        _replace(path, _lines(COLUMNS, [COLUMNS], "\n") + _lines(COLUMNS, keys, "\n"))
        return
    try:
        before = path.read_bytes()
        text = before.decode("utf-8-sig")
        header, (grades, _) = _header(text), _parsed(text, path)
    except (OSError, UnicodeDecodeError, csv.Error):
        return
    added = [key for key in keys if key not in grades]
    if not added or not set(COLUMNS) <= set(header) or not _is_closed(text):
        return
    end = "\r\n" if b"\r\n" in before else "\n"
    gap = b"" if before.endswith((b"\n", b"\r")) else end.encode()
    _replace(path, before + gap + _lines(header, added, end))


def _parsed(text: str, path: Path) -> tuple[Grades, list[str]]:
    missing = [name for name in COLUMNS if name not in _header(text)]
    if missing:
        return {}, [f"{path}: has no column {', '.join(missing)}; it needs {', '.join(COLUMNS)}"]
    grades: Grades = {}
    problems = [] if _is_closed(text) else [f'{path}: a quote (") is opened and never closed']
    for line, key, given in _records(text):
        where, value = f"{path}: line {line}", _grade(given)
        wrong = [f"{where}: {' rank '.join(key)} stands twice"] if key in grades else []
        if given and value is None:
            wrong.append(f"{where}: grade={given}: give {WORST} to {BEST}, or nothing")
        grades[key] = None if wrong else value
        problems += wrong
    return grades, problems


def _records(text: str) -> Iterator[tuple[int, Key, str]]:
    """(line, (model, rank), what stands as its grade)."""
    reader = csv.DictReader(io.StringIO(text, newline=""))
    for record in reader:
        model, rank, grade = ((record[name] or "").strip() for name in COLUMNS)
        if model or rank or grade:  # else a row of commas, as spreadsheets leave them
            yield reader.line_num, (model, rank.removeprefix("r")), grade


def _is_closed(text: str) -> bool:
    """Is a line after the last one a line of its own? In an open quote it would be part of that text."""
    return [*csv.reader(io.StringIO(f"{text}\nlast", newline=""))][-1] == ["last"]


def _grade(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if WORST <= value <= BEST else None


def _header(text: str) -> Sequence[str]:
    return csv.DictReader(io.StringIO(text, newline="")).fieldnames or ()


def _lines(header: Sequence[str], rows: Iterable[Sequence[str]], end: str) -> bytes:
    """Lines in the order of the file's own columns; those that are not ours stay empty."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(header), lineterminator=end)
    writer.writerows(dict(zip(COLUMNS, row, strict=False)) for row in rows)
    return out.getvalue().encode()


def _replace(path: Path, content: bytes) -> None:
    """In one step, so that nobody's grades are ever half there."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
