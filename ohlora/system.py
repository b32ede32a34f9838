"""The operating systems that the commands run on."""

from __future__ import annotations

import sys

from ohlora.errors import UserError


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
