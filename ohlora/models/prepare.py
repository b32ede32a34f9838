"""One model into `<models>/<name>`: made beside it and renamed when whole, so that half a model is never seen."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from ohlora.config.schema import Config, Source
from ohlora.errors import UserError
from ohlora.models import sources
from ohlora.models.checks import folder_problems, loadable, subject
from ohlora.models.folder import is_prepared, model_folder, model_hash, write_marker
from ohlora.models.hub import Show
from ohlora.models.hub_errors import Interrupted
from ohlora.models.licences import carry, licence_of
from ohlora.models.weights import weight_problems


def prepare(config: Config, show: Show) -> Path:
    """The prepared folder of `config.model`, made if need be.

    Raises:
        UserError: what is missing and how to get it. Nothing half-made is left behind, save an interrupted download.
    """

    def fill(partial: Path) -> dict[str, Any]:
        facts = sources.make(config, partial, show)
        found = weight_problems(partial, subject(config))
        if found:
            raise UserError(found)
        licence = licence_of(config, partial)
        carry(partial, partial, licence)
        for note in facts.get("notes", []):
            show.stage(f"note: {note}")
        return {"name": config.model.name, "licence": licence, **facts}

    resumes = config.model.source is Source.hub and not config.model.path
    return made_whole(model_folder(config), resumes, fill, show)


def made_whole(target: Path, resumes: bool, fill: Callable[[Path], dict[str, Any]], show: Show) -> Path:
    """The folder `target`, filled beside its place unless it is there. Two processes at once: one waits for the other.

    `fill` returns the facts for the marker. With `resumes` what an interruption leaves is kept for the next call; what
    was refused never is.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.parent / f".{target.name}.lock"):
        if is_prepared(target):
            return target
        partial = target.parent / f".{target.name}.partial"
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
        if target.exists():
            shutil.rmtree(target)
        partial.rename(target)
        os.sync()  # a gigabyte still being written would slow down the first run that is measured
    return target


def check_in_place(config: Config, show: Show) -> None:
    """A folder of the user's, used where it lies: everything that would stop a run, and its hash for those to come.

    Raises:
        UserError: with every problem.
    """
    folder = model_folder(config)
    show.stage("checking files, sizes and headers")
    found = folder_problems(config, folder)
    if found:
        raise UserError(found)
    show.stage("trying the tokenizer")
    notes = loadable(config, folder)
    show.stage("hashing")
    digest = model_hash(config)
    for note in notes:
        show.stage(f"note: {note}")
    show.stage(f"ready, used where it lies (weights {digest[:12]})")
