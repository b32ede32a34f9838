"""Restricted licences are accepted once, by name, and remembered with the version of their terms."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from filelock import FileLock

from ohlora.config.schema import Config
from ohlora.errors import UserError
from ohlora.files import read_json, write_json
from ohlora.models.licences import ACCEPT_NO, ACCEPT_YES, LICENCES, licence_of, screen_notice

REMEMBERED = "accepted-licenses.json"


def require(config: Config) -> None:
    """See to it that the licence of this run's model is accepted, asking at a terminal. Says the terms once.

    Raises:
        UserError: it is not, and nobody can be asked; says what to add to the command.
    """
    tag = licence_of(config)
    entry = LICENCES[tag]
    notice = screen_notice(tag, config.model.label)
    if not entry.restricted:
        print(notice, file=sys.stderr) if notice else None
        return
    if accepted(config):
        return
    print(notice, file=sys.stderr)
    given = (config.model.accept_license or "").lower()
    if given in (*ACCEPT_YES, tag):
        _remember(config, tag, f"model.accept_license={given}")
    elif given in ACCEPT_NO or not _asked(entry.title):
        raise UserError(not_accepted(config))
    else:
        _remember(config, tag, "at a terminal")


def not_accepted(config: Config) -> str:
    """The one line that says what to add."""
    tag = licence_of(config)
    return (
        f"model.license={tag}: {config.model.name} is under the {LICENCES[tag].title}, which was not accepted here; "
        f"read {LICENCES[tag].url} and add model.accept_license={tag} (with make: ACCEPT_LICENSE={tag})"
    )


def will_accept(config: Config) -> bool:
    """True when nothing stands in the way: a free licence, one accepted before, or one that this command accepts."""
    tag = licence_of(config)
    given = (config.model.accept_license or "").lower()
    return not LICENCES[tag].restricted or given in (*ACCEPT_YES, tag) or accepted(config) is not None


def accepted(config: Config) -> dict[str, Any] | None:
    """How and when the terms that this run's model is under were accepted; None where they were not, or are newer."""
    tag = licence_of(config)
    found = remembered(Path(config.models)).get(tag)
    return found if found and found.get("version") == LICENCES[tag].version else None


def remembered(models: Path) -> dict[str, dict[str, Any]]:
    """Licence tag -> {title, url, version, accepted, how} of everything accepted beside these models."""
    try:
        read = read_json(models / REMEMBERED)
    except (OSError, ValueError):
        return {}
    return {tag: entry for tag, entry in read.items() if isinstance(entry, dict)} if isinstance(read, dict) else {}


def _asked(title: str) -> bool:
    """Ask where somebody can answer."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    print(f"Accept the {title}? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes", "예", "네")


def _remember(config: Config, tag: str, how: str) -> None:
    models, entry = Path(config.models), LICENCES[tag]
    models.mkdir(parents=True, exist_ok=True)
    when = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    with FileLock(models / f".{REMEMBERED}.lock"):
        record = {"title": entry.title, "url": entry.url, "version": entry.version, "accepted": when, "how": how}
        write_json(models / REMEMBERED, {**remembered(models), tag: record})
