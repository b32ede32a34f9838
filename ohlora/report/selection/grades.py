"""A person's grades of the answers: read grades.csv (model, rank, grade from 1 to 5), or prepare it to be filled in."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ohlora.errors import UserError
from ohlora.files import write_atomic

FILE = "grades.csv"
COLUMNS = ("model", "rank", "grade")
WORST, BEST = 1, 5
MANY = 10  # problems of a file that are listed
Key = tuple[str, str]
Grades = dict[Key, float | None]


def read_grades(path: Path) -> Grades:
    """(model, rank) -> grade; None if not given yet. `r16` is the rank 16.

    Raises:
        UserError: it cannot be read, a column is missing, a grade is none of 1–5; with line numbers.
    """
    grades, problems = find_grades(path)
    if problems:
        raise UserError(problems[:MANY])
    return grades


def find_grades(path: Path) -> tuple[Grades, list[str]]:
    """The usable grades of the file, and the problems of the other lines, whose grades are None.

    For the file that is read without being asked for: one wrong line must not cost the report of hours of runs.
    """
    try:
        text = path.read_text("utf-8-sig")
        missing = [name for name in COLUMNS if name not in _header(text)]
        if missing:
            return {}, [f"{path}: has no column {', '.join(missing)}; it needs {', '.join(COLUMNS)}"]
        problems = [] if _is_closed(text) else [f'{path}: a quote (") is opened and never closed']
        grades: Grades = {}
        for line, key, given in _records(text):
            value = _parse_grade(given)
            wrong = [f"{path}: line {line}: {' rank '.join(key)} stands twice"] if key in grades else []
            if given and value is None:
                wrong.append(f"{path}: line {line}: grade={given}: give {WORST} to {BEST}, or nothing")
            grades[key] = None if wrong else value
            problems += wrong
        return grades, problems
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        return {}, [f"{path}: cannot be read ({error})"]


def write_template(path: Path, keys: Sequence[Key]) -> None:
    """A file to fill in, beside the report. Every byte of a person's file stays; missing lines are added at its end.

    A file that cannot be read as grades is left alone.
    """
    if not path.is_file():
        write_atomic(path, _lines(COLUMNS, [COLUMNS, *keys], "\n"))
        return
    try:
        text = path.read_bytes().decode()
        header = _header(text.removeprefix("\ufeff"))
    except (OSError, UnicodeDecodeError, csv.Error):
        return
    grades, _ = find_grades(path)
    added = [key for key in keys if key not in grades]
    if added and set(COLUMNS) <= set(header) and _is_closed(text):
        end = "\r\n" if "\r\n" in text else "\n"
        gap = "" if text.endswith(("\n", "\r")) else end
        write_atomic(path, text + gap + _lines(header, added, end))


def _records(text: str) -> Iterator[tuple[int, Key, str]]:
    """(line, (model, rank), the text in its column grade)."""
    reader = csv.DictReader(io.StringIO(text, newline=""))
    for record in reader:
        model, rank, grade = ((record[name] or "").strip() for name in COLUMNS)
        if model or rank or grade:  # else a row of commas, as spreadsheets leave them
            yield reader.line_num, (model, rank.removeprefix("r")), grade


def _is_closed(text: str) -> bool:
    """Would an added line be a line of its own? In an open quote it would be part of the quoted text."""
    return [*csv.reader(io.StringIO(f"{text}\nlast", newline=""))][-1] == ["last"]


def _parse_grade(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if WORST <= value <= BEST else None


def _header(text: str) -> Sequence[str]:
    return csv.DictReader(io.StringIO(text, newline="")).fieldnames or ()


def _lines(header: Sequence[str], rows: Iterable[Sequence[str]], end: str) -> str:
    """Lines in the order of the file's own columns; columns that are not ours stay empty."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(header), lineterminator=end)
    writer.writerows(dict(zip(COLUMNS, row, strict=False)) for row in rows)
    return out.getvalue()
