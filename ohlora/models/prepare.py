"""One model into `<models>/<name>`: made beside it and renamed when whole, so that half a model is never seen."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from ohlora.config.schema import Source
from ohlora.errors import UserError
from ohlora.models import sources
from ohlora.models.checks import folder_problems, loadable, subject
from ohlora.models.folder import MARKER, LocalModel, is_prepared, model_hash, write_marker
from ohlora.models.hub import Show
from ohlora.models.hub_errors import Interrupted
from ohlora.models.licences import carry, licence_of
from ohlora.models.weights import weight_problems


def prepare(model: LocalModel, show: Show) -> Path:
    """The prepared folder of this model, made if need be.

    Raises:
        UserError: what is missing and how to get it. Nothing half-made is left behind, save an interrupted download.
    """

    def fill(partial: Path) -> dict[str, Any]:
        facts = sources.make(model, partial, show)
        found = weight_problems(partial, subject(model.option))
        if found:
            raise UserError(found)
        licence = licence_of(model, partial)
        carry(partial, partial, licence)
        for note in facts.get("notes", []):
            show.stage(f"note: {note}")
        return {"name": model.option.name, "licence": licence, **facts}

    resumes = model.option.source is Source.hub and not model.option.path
    source = Path(model.option.path) if model.option.path else None
    return made_whole(model.folder, subject(model.option), fill, show, resumes, source)


def made_whole(
    target: Path,
    key: str,
    fill: Callable[[Path], dict[str, Any]],
    show: Show,
    resumes: bool,
    source: Path | None = None,
) -> Path:
    """The folder `target`, filled beside its place unless it is there. Two processes at once: one waits for the other.

    `fill` returns the facts for the marker. With `resumes` what an interruption leaves is kept for the next call; what
    was refused never is. `key`: what the user asked for; `source`: the user's folder that it is made from.

    Raises:
        UserError: the folder would take the place of files that are not ours.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.parent / f".{target.name}.lock"):
        if is_prepared(target):
            return target
        partial, old = (target.parent / f".{target.name}.{state}" for state in ("partial", "replaced"))
        if found := _in_the_way(target, key, source, (target, partial, old)):
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
        os.sync()  # a gigabyte still being written would slow down the first run that is measured
    return target


def _in_the_way(target: Path, key: str, source: Path | None, written: tuple[Path, ...]) -> str | None:
    """Why nothing may be written there: only an empty folder, or one that carries our marker, is ever replaced."""
    if source and any(place.resolve() in (source.resolve(), *source.resolve().parents) for place in written):
        return (
            f"{key}: lies where the prepared model would be written ({target}), and stays as it is; move it elsewhere, "
            "or give another place with models=<folder> or model.name=<name>"
        )
    is_free = not target.exists() or (target.is_dir() and not any(target.iterdir()))
    if not target.is_symlink() and (is_free or (target / MARKER).is_file()):
        return None
    return (
        f"{key}: {target} is there and was not made by this program, so it stays as it is; move it elsewhere, or give "
        "another place with models=<folder>"
    )


def check_in_place(model: LocalModel, show: Show) -> None:
    """A folder of the user's, used where it lies: everything that would stop a run, and its hash for those to come.

    Raises:
        UserError: with every problem.
    """
    folder = model.folder
    show.stage("checking files, sizes and headers")
    found = folder_problems(model.option, folder)
    if found:
        raise UserError(found)
    show.stage("trying the tokenizer")
    notes = loadable(model.option, folder)
    show.stage("hashing")
    digest = model_hash(model)
    for note in notes:
        show.stage(f"note: {note}")
    show.stage(f"ready, used where it lies (weights {digest[:12]})")
