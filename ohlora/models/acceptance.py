"""Restricted licences are accepted once, by name; the acceptance is stored with the version of the terms."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from filelock import FileLock

from ohlora.errors import UserError
from ohlora.files import read_json, write_json
from ohlora.models.folder import LocalModel, is_there
from ohlora.models.licences import ACCEPT_NO, ACCEPT_YES, LICENCES, Licence
from ohlora.models.terms import acceptance_name, card_folder, card_licence, find_licence, licence_of, screen_notice

REMEMBERED = "accepted-licenses.json"


def require_acceptance(
    model: LocalModel, tag: str | None = None, other: str | None = None, entry: Licence | None = None
) -> None:
    """Require that the licence of this run's model is accepted; ask at a terminal. Shows the terms once.

    `tag`, `entry`: the licence and its facts, if known from files that are not in the model's folder yet.
    `other`: the licensed thing as the user named it, if not the model.

    Raises:
        UserError: it is not accepted, and there is no terminal to ask at; with the option to add.
    """
    if tag in (None, "unknown") and is_unread(model):
        return  # its config.json or card is fetched first and shows the licence
    tag = tag or licence_of(model)
    entry = entry or _find(model, tag)
    notice = screen_notice(tag, other or model.option.label, entry)
    if not entry.restricted:
        print(notice, file=sys.stderr) if notice else None
        return
    if read_acceptance(model, tag, entry):
        return
    print(notice, file=sys.stderr)
    given = (model.option.accept_license or "").lower()
    if _accepts(given, tag):
        _remember(model, tag, entry, f"model.accept_license={given}")
    elif given in ACCEPT_NO or not _ask(entry.title):
        raise UserError(explain_refusal(model, tag, other, entry))
    else:
        _remember(model, tag, entry, "at a terminal")


def offer_acceptance(models: Iterable[LocalModel]) -> None:
    """At a terminal, ask once for each licence of the candidates; if declined, its models are skipped."""
    if _at_a_terminal():
        for model in {licence_of(one): one for one in models if not will_accept(one)}.values():
            with contextlib.suppress(UserError):
                require_acceptance(model)


def is_unread(model: LocalModel) -> bool:
    """True if the licence is unknown because none of the model's files is here yet."""
    return licence_of(model) == "unknown" and model.option.license is None and not is_there(model)


def unknown_note(key: str, folder: Path) -> str:
    """The note for files with an unknown licence; there is nothing to accept."""
    said = card_licence(folder)
    return f"note: {key}: no licence known{f' (its card says {said})' if said else ''}; look it up before you use it"


def explain_refusal(
    model: LocalModel, tag: str | None = None, other: str | None = None, entry: Licence | None = None
) -> str:
    """The error message with the option to add."""
    tag = tag or licence_of(model)
    what = f"{other}: is" if other else f"model.license={tag}: {model.option.name} is"
    entry, name = entry or _find(model, tag), acceptance_name(tag)
    return (
        f"{what} under the {entry.title}, which was not accepted here; "
        f"read {entry.url} and add model.accept_license={name} (with make: ACCEPT_LICENSE={name})"
    )


def will_accept(model: LocalModel, tag: str | None = None) -> bool:
    """True for a free licence, one accepted before, or one that this command accepts."""
    tag = tag or licence_of(model)
    given = (model.option.accept_license or "").lower()
    return not LICENCES[tag].restricted or _accepts(given, tag) or read_acceptance(model, tag) is not None


def read_acceptance(model: LocalModel, tag: str | None = None, entry: Licence | None = None) -> dict[str, Any] | None:
    """How and when the model's terms were accepted; None if they were not, or have changed since."""
    tag = tag or licence_of(model)
    entry = entry or _find(model, tag)
    found = read_accepted(model.models).get(_key(tag, entry))
    return found if found and found.get("version") == entry.version else None


def read_accepted(models: Path) -> dict[str, dict[str, Any]]:
    """Licence tag -> {title, url, version, accepted, how} of everything accepted beside these models."""
    try:
        read = read_json(models / REMEMBERED)
    except (OSError, ValueError):
        return {}
    return {tag: entry for tag, entry in read.items() if isinstance(entry, dict)} if isinstance(read, dict) else {}


def _find(model: LocalModel, tag: str) -> Licence:
    return find_licence(tag, card_folder(model), model.option.repo)


def _key(tag: str, entry: Licence) -> str:
    """Two models can use one name for different terms; the hash of the text distinguishes them."""
    return tag if acceptance_name(tag) == tag else f"{tag}@{entry.version}"


def _accepts(given: str, tag: str) -> bool:
    return given in (*ACCEPT_YES, tag, acceptance_name(tag))


def _at_a_terminal() -> bool:
    return bool(sys.stdin and sys.stdin.isatty() and sys.stderr.isatty())


def _ask(title: str) -> bool:
    """Ask at a terminal; False without one."""
    if not _at_a_terminal():
        return False
    print(f"Accept the {title}? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes", "예", "네")


def _remember(model: LocalModel, tag: str, entry: Licence, how: str) -> None:
    models = model.models
    models.mkdir(parents=True, exist_ok=True)
    when = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    with FileLock(models / f".{REMEMBERED}.lock"):
        record = {"title": entry.title, "url": entry.url, "version": entry.version, "accepted": when, "how": how}
        write_json(models / REMEMBERED, {**read_accepted(models), _key(tag, entry): record})
