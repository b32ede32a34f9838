"""Replace characters that a terminal cannot show, so that none of them ends a command with a traceback."""

from __future__ import annotations

import codecs
import sys

SPELLED = {"—": "-", "–": "-", "−": "-", "…": "...", "©": "(c)", "·": "-", "×": "x", "≤": "<=", "≥": ">="}
HANDLER = "ohlora.replace"


def replace_unprintable() -> None:
    """Make standard input, output and error replace characters that their encoding (cp949, latin-1, ASCII) lacks."""
    codecs.register_error(HANDLER, _spell)
    for stream, errors in ((sys.stdin, "replace"), (sys.stdout, HANDLER), (sys.stderr, HANDLER)):
        reconfigure = getattr(stream, "reconfigure", None)  # a notebook's streams have none and accept any text
        if reconfigure:
            reconfigure(errors=errors)


def _spell(error: UnicodeError) -> tuple[str, int]:
    """An ASCII spelling of the characters that could not be encoded, or a question mark for each."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(SPELLED.get(character, "?") for character in error.object[error.start : error.end]), error.end
