"""A data file of any format becomes records with line numbers; the format is told by the content."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ohlora.data.delimited import read_delimited
from ohlora.data.encoding import decode_text
from ohlora.data.notes import Notes, Place
from ohlora.errors import UserError

ZIP, OLD_EXCEL, PARQUET = b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"PAR1"
MANY = 20  # problems listed of one file


@dataclass(frozen=True)
class Record:
    """One row as its file holds it: column -> value, of any type."""

    place: Place
    cells: dict[str, Any]


def read_records(
    path: Path, name: str, notes: Notes, *, format: str = "auto", separator: str = "auto", encoding: str = "auto"
) -> list[Record]:
    """All records of one file. `name`: the file's name in places, '' if it is the only one.

    Raises:
        UserError: the file cannot be read, with its line.
    """
    where = f"data.path={path}"
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"{where}: cannot be read ({error.strerror})") from None
    if raw.startswith(OLD_EXCEL):
        raise UserError(f"{where}: is an old Excel file (.xls); save it as .xlsx or as CSV UTF-8")
    if raw.startswith(ZIP):
        found: Iterator[tuple[int, dict[str, Any]]] = _workbook(raw, where)
    elif raw.startswith(PARQUET):
        found = _parquet(path, where)
    else:
        text = decode_text(raw, where, notes, encoding)
        if not text.strip():
            raise UserError(f"{where}: the file is empty; it needs a prompt and a response for every row")
        found = _text(text, where, notes, format, separator, name)
    records = [Record(Place(name, line), cells) for line, cells in found]
    if not records:
        raise UserError(f"{where}: it has a header but no rows")
    return records


def _text(
    text: str, where: str, notes: Notes, format: str, separator: str, name: str
) -> Iterator[tuple[int, dict[str, Any]]]:
    first = text.lstrip()[:1]
    if format == "csv" or (format == "auto" and first not in "[{"):
        return read_delimited(text, where, notes, separator, name)
    return _array(text, where) if first == "[" else _lines(text, where)


def _lines(text: str, where: str) -> Iterator[tuple[int, dict[str, Any]]]:
    whole = _one_object(text)
    if whole is not None:
        yield from enumerate(whole, 1)
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                record = json.loads(line)
            except ValueError as error:
                raise UserError(f"{where}: line {number} is not JSON ({error})") from None
            yield number, _object(record, where, number)


def _one_object(text: str) -> list[dict[str, Any]] | None:
    """The rows of a file that is one object around them, as {"data": [{…}, …]}."""
    if "\n" not in text.strip() and not text.strip().endswith("]}"):
        return None
    try:
        whole = json.loads(text)
    except ValueError:
        return None
    lists = [value for value in whole.values() if isinstance(value, list) and value and isinstance(value[0], dict)]
    rows = lists[0] if len(lists) == 1 else None
    return rows if rows and not ({"role", "from"} & rows[0].keys()) else None


def _array(text: str, where: str) -> Iterator[tuple[int, dict[str, Any]]]:
    decoder, at = json.JSONDecoder(), text.index("[") + 1
    line, counted = 1, 0
    while True:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        if text[at : at + 1] == "]":
            return
        line, counted = line + text.count("\n", counted, at), at
        try:
            record, at = decoder.raw_decode(text, at)
        except ValueError as error:
            raise UserError(f"{where}: line {line} is not JSON ({error})") from None
        yield line, _object(record, where, line)


def _object(record: Any, where: str, line: int) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise UserError(f'{where}: line {line} is not a JSON object such as {{"prompt": …}}')
    return record


def _workbook(raw: bytes, where: str) -> Iterator[tuple[int, dict[str, Any]]]:
    from openpyxl import load_workbook  # the reader of .xlsx that pandas uses too

    try:
        book = load_workbook(io.BytesIO(raw), read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise UserError(
            f"{where}: is an Excel workbook (or another zip file) that cannot be read ({error}); save it as .xlsx, "
            "or as "
            "CSV UTF-8"
        ) from None
    header: list[str] | None = None
    for number, row in enumerate(book.worksheets[0].iter_rows(values_only=True), 1):
        values = [value.isoformat(" ") if hasattr(value, "isoformat") else value for value in row]
        if header is None:
            if any(value not in (None, "") for value in values):
                header = ["" if value is None else str(value).strip() for value in values]
            continue
        cells = dict(zip(header, values, strict=False))
        yield number, {key: value for key, value in cells.items() if key}


def _parquet(path: Path, where: str) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        number = 0
        for batch in file.iter_batches():
            for record in batch.to_pylist():
                number += 1
                yield number, record
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{where}: is a Parquet file that cannot be read ({str(error).splitlines()[0]})") from None
