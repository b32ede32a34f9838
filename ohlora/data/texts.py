"""A cell of a data file becomes clean text, or is refused with its line."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any

from ohlora.data.notes import Notes, Place

SURROGATE = re.compile("[\ud800-\udfff]")
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
BOM = "\ufeff"
ALLOWED = "give text in quotation marks"


def is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip().strip(BOM).strip())


def clean_text(value: Any, key: str, place: Place, notes: Notes) -> str:
    """Text in NFC with `\\n` line ends and no blanks around it; '' for an empty cell. Changes are noted.

    Raises:
        ValueError: a boolean, NaN, a list or an object, half of a surrogate pair, or binary data.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        raise ValueError(f"{key} is {str(value).lower()}, not text; {ALLOWED}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{key} is {value}, not text; {ALLOWED}, or leave the cell empty")
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) and value.is_integer() else str(value)
    if not isinstance(value, str):
        raise ValueError(f"{key} is a {type(value).__name__}, not text; {ALLOWED}")
    if SURROGATE.search(value):
        raise ValueError(f"{key} holds half of a character (a lone surrogate, often a cut emoji); write it again")
    if CONTROL.search(value):
        raise ValueError(f"{key} holds a control character ({ord(CONTROL.search(value)[0]):#04x}); remove it")  # type: ignore[index]
    text = value.replace(BOM, "")
    if text != value:
        notes.changed["byte order marks removed"].append(place)
    ends = text.replace("\r\n", "\n").replace("\r", "\n")
    if ends != text:
        notes.changed["line ends made \\n"].append(place)
    composed = unicodedata.normalize("NFC", ends)
    if composed != ends:
        notes.changed["decomposed letters composed (NFC)"].append(place)
    return composed.strip()
