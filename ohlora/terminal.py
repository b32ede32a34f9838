"""What a terminal cannot show is replaced, so that no character ends a command with a traceback."""

from __future__ import annotations

import codecs
import sys

SPELLED = {"—": "-", "–": "-", "−": "-", "…": "...", "©": "(c)", "·": "-", "×": "x", "≤": "<=", "≥": ">="}
HANDLER = "ohlora.replace"


def replace_unprintable() -> None:
    """From now on standard output and error replace what their encoding lacks (cp949, latin-1, ASCII); input too."""
    codecs.register_error(HANDLER, _spell)
    for stream, errors in ((sys.stdin, "replace"), (sys.stdout, HANDLER), (sys.stderr, HANDLER)):
        reconfigure = getattr(stream, "reconfigure", None)  # a notebook's streams take any text
        if reconfigure:
            reconfigure(errors=errors)


def _spell(error: UnicodeError) -> tuple[str, int]:
    """The characters that could not be encoded in ASCII, or a question mark for each."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(SPELLED.get(character, "?") for character in error.object[error.start : error.end]), error.end
