"""A person's view of the answers: grades.csv (model, rank, grade from 1 to 5), read, or prepared to be filled in."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from ohlora.errors import UserError
from ohlora.files import write_atomic

FILE = "grades.csv"
COLUMNS = ("model", "rank", "grade")
WORST, BEST = 1, 5
Grades = dict[tuple[str, str], float | None]


def read_grades(path: Path) -> Grades:
    """(model, rank) -> grade; None where none is given yet.

    Raises:
        UserError: it cannot be read, a column is missing, a grade is none of 1–5; with line numbers.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    reader = csv.DictReader(io.StringIO(text))
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise UserError(f"{path}: has no column {', '.join(missing)}; it needs {', '.join(COLUMNS)}")
    grades: Grades = {}
    problems = []
    for record in reader:
        given = {name: (record[name] or "").strip() for name in COLUMNS}
        key = (given["model"], given["rank"].removeprefix("r"))
        if key in grades:
            problems.append(f"{path}: line {reader.line_num}: {' rank '.join(key)} stands twice")
        try:
            grades[key] = float(given["grade"]) if given["grade"] else None
        except ValueError:
            grades[key] = WORST - 1.0
        value = grades[key]
        if value is not None and not WORST <= value <= BEST:
            problems.append(
                f"{path}: line {reader.line_num}: grade={given['grade']}: give {WORST} to {BEST}, or nothing"
            )
    if problems:
        raise UserError(problems[:10])
    return grades


def write_template(path: Path, keys: Sequence[tuple[str, str]]) -> None:
    """A file to fill in, beside the report. Lines that a person has made stay as they are; missing ones are added."""
    grades = read_grades(path) if path.is_file() else {}
    added = {key: None for key in keys if key not in grades}
    if path.is_file() and not added:
        return
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for (model, rank), grade in (grades | added).items():
        writer.writerow([model, rank, "" if grade is None else f"{grade:g}"])
    write_atomic(path, out.getvalue())
