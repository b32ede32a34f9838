"""Read CSV and its relatives strictly: exact line numbers, any separator, no row swallowed in silence."""

from __future__ import annotations

import csv
import io
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any

from ohlora.data.notes import Notes, Place
from ohlora.data.texts import is_blank
from ohlora.errors import UserError

SEPARATORS = {"comma": ",", "tab": "\t", "semicolon": ";", "pipe": "|"}
PROBED = 50  # rows that tell the separator


def read_delimited(
    text: str, where: str, notes: Notes, separator: str = "auto", name: str = ""
) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line on which it begins, column -> text) of every row that is not blank.

    Raises:
        UserError: a quotation mark that is never closed or stands in the middle of a cell, more cells than columns,
            two columns of one name.
    """
    csv.field_size_limit(sys.maxsize)
    mark = SEPARATORS[separator] if separator != "auto" else _find_separator(text)
    if mark != ",":
        notes.say(f"separator: {next(word for word, sign in SEPARATORS.items() if sign == mark)}")
    header: list[str] | None = None
    for line, cells in _parse(text, mark, where):
        if header is None:
            header = [unicodedata.normalize("NFC", cell).strip().strip("\ufeff") for cell in cells]
            if any(header):
                twice = sorted({column for column in header if column and header.count(column) > 1})
                if twice:
                    raise UserError(f"{where}: line {line}: the column {twice[0]} stands there twice; rename one")
            else:
                header = None
            continue
        if all(is_blank(cell) for cell in cells):
            notes.dropped["blank rows left out"].append(Place(name, line))
            continue
        if any(not is_blank(cell) for cell in cells[len(header) :]):
            raise UserError(
                f"{where}: line {line} has {len(cells)} cells, the header {len(header)}; put quotation marks "
                "around text "
                "that holds the separator"
            )
        for cell in cells:
            if _holds_rows(cell, mark, len(header)):
                notes.say(
                    f"{where}: line {line}: one cell in quotation marks goes over {cell.count(chr(10)) + 1} lines, "
                    "and they "
                    "look like rows; if they are, a quotation mark is missing"
                )
        yield line, {column: cell for column, cell in zip(header, cells, strict=False) if column}


def _parse(text: str, mark: str, where: str) -> Iterator[tuple[int, list[str]]]:
    """(first line, cells) of each row."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True, skipinitialspace=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end" in str(error):
                raise UserError(
                    f"{where}: line {line}: a quotation mark opens here and is never closed; close it, or write it "
                    "twice "
                    '("") if it is part of the text'
                ) from None
            raise UserError(
                f"{where}: line {line}: a quotation mark ends before its cell does ({error}); put the whole cell in "
                'quotation marks and write those inside twice: """안녕""이라고 말해줘"'
            ) from None
        if cells:
            yield line, cells


def _find_separator(text: str) -> str:
    """The sign that splits the first rows into the most cells, equally many in each."""
    best, most = ",", 1
    for mark in SEPARATORS.values():
        counts = []
        try:
            for _, cells in _parse(text, mark, ""):
                counts.append(len(cells))
                if len(counts) == PROBED:
                    break
        except UserError:
            if len(counts) < 2:
                counts = counts or [len(text.split("\n", 1)[0].split(mark))]
        columns = counts[0] if counts else 1
        if columns > most and sum(count == columns for count in counts) >= len(counts) / 2:
            best, most = mark, columns
    return best


def _holds_rows(cell: str, mark: str, columns: int) -> bool:
    """Does every line within this cell look like a row?"""
    inner = cell.split("\n")[1:]
    return bool(inner) and columns > 1 and all(line.count(mark) == columns - 1 for line in inner)
