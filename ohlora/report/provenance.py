"""Which version of the code wrote a report."""

from __future__ import annotations

import subprocess
from functools import lru_cache

from ohlora import __version__
from ohlora.config.paths import PACKAGE


@lru_cache
def code_version() -> dict[str, str | None]:
    """The package's version and, in a git checkout, its commit; '-dirty' after one whose files were changed since."""
    commit = None
    if (PACKAGE.parent / ".git").exists():
        command = ["git", "-C", str(PACKAGE.parent), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
            commit = ran.stdout.strip() or None
        except (OSError, subprocess.TimeoutExpired):
            pass  # no git here
    return {"version": __version__, "commit": commit}


def version_text() -> str:
    """'ohlora 0.1.0, commit 0123456789ab'."""
    code = code_version()
    return f"ohlora {code['version']}" + (f", commit {code['commit']}" if code["commit"] else "")
