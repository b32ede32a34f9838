"""The bytes of a text file become text: by its byte order mark, as UTF-8, or by charset-normalizer's judgement."""

from __future__ import annotations

import codecs

from ohlora.data.notes import Notes
from ohlora.errors import UserError

BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
KOREAN = "cp949"  # what Korean Windows and Excel write; a superset of EUC-KR
# charset-normalizer is asked only for encodings that data sets come in.
OTHERS = ["utf_16_le", "utf_16_be", "shift_jis", "gb18030", "big5", "cp1252"]
MOSTLY = 0.9  # share of the bytes beyond ASCII that are UTF-8 in a file that is damaged UTF-8


def decode_text(raw: bytes, place: str, notes: Notes, encoding: str = "auto") -> str:
    """The text of a file; byte order marks are removed, and an encoding other than UTF-8 is noted.

    Raises:
        UserError: not text in the encoding asked for, or in none that is known.
    """
    if encoding != "auto":
        try:
            return raw.decode(encoding).lstrip("\ufeff")
        except LookupError:
            raise UserError(f"data.encoding={encoding}: unknown; for example auto, utf-8, cp949, utf-16") from None
        except UnicodeDecodeError as error:
            line = raw[: error.start].count(b"\n") + 1
            raise UserError(
                f"{place}: line {line} is not {encoding}; give data.encoding=auto, or its encoding"
            ) from None
    for mark, name in BOMS:
        if raw.startswith(mark):
            if name != "utf-8":
                notes.say(f"{place}: read as {name[:6]}")
            return _decode(raw, name, place).lstrip("\ufeff")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        pass
    return _guess(raw, place, notes)


def _guess(raw: bytes, place: str, notes: Notes) -> str:
    high = sum(byte > 127 for byte in raw)
    valid = sum(len(letter.encode()) for letter in raw.decode("utf-8", "ignore") if ord(letter) > 127)
    if valid >= MOSTLY * high:
        _decode(raw, "utf-8", place)  # raises, with the line
    try:
        text = raw.decode(KOREAN)
        if b"\x00" not in raw and _is_korean(text):
            notes.say(f"{place}: read as {KOREAN}")
            return text
    except UnicodeDecodeError:
        pass
    from charset_normalizer import from_bytes

    best = from_bytes(raw, cp_isolation=OTHERS).best()
    if best is None:
        raise UserError(f"{place}: is not text in any known encoding; save it as UTF-8, or give data.encoding=<name>")
    notes.say(f"{place}: read as {best.encoding}; if that is wrong, give data.encoding=<name>")
    return str(best).lstrip("\ufeff")


def _decode(raw: bytes, name: str, place: str) -> str:
    try:
        return raw.decode(name)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UserError(
            f"{place}: line {line} is not {name.upper()}; save the file as UTF-8, or give data.encoding=<name>"
        ) from None


def _is_korean(text: str) -> bool:
    beyond = [letter for letter in text if ord(letter) > 127]
    return sum("가" <= letter <= "힣" for letter in beyond) >= len(beyond) / 2
