"""What a command does first: replace characters that the terminal cannot show, and stop on native Windows."""

from __future__ import annotations

import codecs
import sys

from ohlora.errors import UserError

SPELLED = {"—": "-", "–": "-", "−": "-", "…": "...", "©": "(c)", "·": "-", "×": "x", "≤": "<=", "≥": ">="}
HANDLER = "ohlora.replace"


def replace_unprintable() -> None:
    """Make standard input, output and error replace characters that their encoding (cp949, latin-1, ASCII) lacks.

    Otherwise a single one of them would end a command with a traceback.
    """
    codecs.register_error(HANDLER, _spell)
    for stream, errors in ((sys.stdin, "replace"), (sys.stdout, HANDLER), (sys.stderr, HANDLER)):
        reconfigure = getattr(stream, "reconfigure", None)  # a notebook's streams have none and accept any text
        if reconfigure:
            reconfigure(errors=errors)


def refuse_windows() -> None:
    """Stop on native Windows, where a run could neither be started nor ended.

    Raises:
        UserError: this is Windows itself, not WSL2.
    """
    if sys.platform == "win32":
        raise UserError(
            "Windows: run this inside WSL2 (wsl --install); runs need Unix process groups, signals and pipes, "
            "and the training libraries are built for Linux"
        )


def _spell(error: UnicodeError) -> tuple[str, int]:
    """An ASCII spelling of the characters that could not be encoded, or a question mark for each."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(SPELLED.get(character, "?") for character in error.object[error.start : error.end]), error.end
