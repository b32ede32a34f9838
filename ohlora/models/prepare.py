"""Prepare one model in `<models>/<name>`: write it beside that and rename it when complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from ohlora.config.choices import Source
from ohlora.errors import UserError
from ohlora.models import sources
from ohlora.models.checks import check_loadable, folder_problems, subject
from ohlora.models.folder import MARKER, LocalModel, is_prepared, model_hash, write_marker
from ohlora.models.hub import Show
from ohlora.models.hub_errors import Interrupted
from ohlora.models.terms import copy_terms, licence_of
from ohlora.models.weights import weight_problems


def prepare(model: LocalModel, show: Show) -> Path:
    """Prepare this model if needed; return its folder.

    Raises:
        UserError: what is missing and how to get it. Nothing incomplete is left, except an interrupted download.
    """

    def fill(partial: Path) -> dict[str, Any]:
        facts = sources.make_model(model, partial, show)
        found = weight_problems(partial, subject(model.option))
        if found:
            raise UserError(found)
        licence = licence_of(model, partial)
        copy_terms(partial, partial, licence)
        for note in facts.get("notes", []):
            show.stage(f"note: {note}")
        return {"name": model.option.name, "licence": licence, **facts}

    resumes = model.option.source is Source.hub and not model.option.path
    source = Path(model.option.path) if model.option.path else None
    return ensure_folder(model.folder, subject(model.option), fill, show, resumes, source)


def ensure_folder(
    target: Path,
    key: str,
    fill: Callable[[Path], dict[str, Any]],
    show: Show,
    resumes: bool,
    source: Path | None = None,
) -> Path:
    """Yield the folder `target`; if it is missing, fill a temporary folder first. A second process waits for the first.

    `fill` returns the facts for the marker. With `resumes`, an interrupted download is kept for the next call, but
    never refused files. `key`: the user's option; `source`: the user's folder that it is made from.

    Raises:
        UserError: the folder would replace files that are not ours.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.parent / f".{target.name}.lock"):
        if is_prepared(target):
            return target
        partial, old = (target.parent / f".{target.name}.{state}" for state in ("partial", "replaced"))
        if found := _find_obstacle(target, key, source, (target, partial, old)):
            raise UserError(found)
        if not resumes:
            shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(exist_ok=True)
        try:
            facts = fill(partial)
        except BaseException as error:
            interrupted = isinstance(error, Interrupted) or not isinstance(error, UserError)
            if not (resumes and interrupted and any(partial.iterdir())):
                shutil.rmtree(partial, ignore_errors=True)
            raise
        show.stage("hashing")
        write_marker(partial, **facts)
        shutil.rmtree(old, ignore_errors=True)
        if target.exists():
            target.rename(old)
        partial.rename(target)
        shutil.rmtree(old, ignore_errors=True)
        os.sync()  # otherwise writing to the disk could slow down the first measured run
    return target


def _find_obstacle(target: Path, key: str, source: Path | None, written: tuple[Path, ...]) -> str | None:
    """Why nothing may be written there: only an empty folder or one with our marker is ever replaced."""
    if source and any(place.resolve() in (source.resolve(), *source.resolve().parents) for place in written):
        return (
            f"{key}: is where the prepared model would be written ({target}), and is kept; move it elsewhere, "
            "or give another place with models=<folder> or model.name=<name>"
        )
    is_free = not target.exists() or (target.is_dir() and not any(target.iterdir()))
    if not target.is_symlink() and (is_free or (target / MARKER).is_file()):
        return None
    return (
        f"{key}: {target} exists but was not made by this program, so it is kept; move it elsewhere, or give "
        "another place with models=<folder>"
    )


def check_in_place(model: LocalModel, show: Show) -> None:
    """Check a user's folder that is used in place: everything that would stop a run; cache its hash.

    Raises:
        UserError: with every problem.
    """
    folder = model.folder
    show.stage("checking files, sizes and headers")
    found = folder_problems(model.option, folder)
    if found:
        raise UserError(found)
    show.stage("trying the tokenizer")
    notes = check_loadable(model.option, folder)
    show.stage("hashing")
    digest = model_hash(model)
    for note in notes:
        show.stage(f"note: {note}")
    show.stage(f"ready, used in place (weights {digest[:12]})")
