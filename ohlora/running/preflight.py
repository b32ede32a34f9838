"""What can be known to fail before anything heavy starts: files, folders, columns. Reads, never writes results."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from ohlora.config.schema import Config, LoraMethod
from ohlora.config.tasks import TASKS
from ohlora.data.rows import held_out, run_rows
from ohlora.errors import UserError
from ohlora.estimate import fit
from ohlora.models import adapters
from ohlora.models.architectures import lora_targets
from ohlora.models.checks import code_problems, folder_problems, small_problems, subject
from ohlora.models.folder import is_in_place, is_prepared, model_folder, prepared_otherwise
from ohlora.models.weights import pickle_problems
from ohlora.records.layout import adapter_folder
from ohlora.records.manifest import SELECTION


def check(config: Config, alone: bool = True) -> None:
    """Every problem that files can show, and then whether the run fits on its device.

    `alone`: refuse it where it does not fit; among other runs it is left out as a row instead.

    Raises:
        UserError: with all of them.
    """
    found = list(_problems(config))
    if found:
        raise UserError(found)
    refused, text = fit.judge_fit(config) or (False, "")
    if refused and alone:
        raise UserError(text)
    if text and not refused:
        print(f"warning: {text}", file=sys.stderr)


def _problems(config: Config) -> Iterator[str]:
    yield from _writable("outputs", Path(config.outputs))
    if config.tracking.name == "mlflow" and config.tracking.uri is None:
        yield from _writable("tracking.uri (the working directory)", Path.cwd())
    yield from _model_problems(config)
    if config.task.name != "prepare":
        try:
            run_rows(config)
            if config.task.name == SELECTION:
                held_out(config)
        except UserError as error:
            yield from error.problems
    if config.adapter is not None:
        yield from _adapter_problems(config, config.adapter)


def _model_problems(config: Config) -> Iterator[str]:
    folder = model_folder(config)
    if is_in_place(config):
        found = folder_problems(config, folder)
        yield from found
        if not found:
            yield from _target_problems(config, folder)
    elif otherwise := prepared_otherwise(config):
        yield otherwise
    elif is_prepared(folder):
        yield from code_problems(config, folder)
        yield from _target_problems(config, folder)
    else:
        yield from _writable("models", Path(config.models))
        if config.model.path:
            given = Path(config.model.path)
            yield from small_problems(config, given)
            yield from pickle_problems(given, subject(config))
        else:
            yield from code_problems(config, folder, here=False)


def _target_problems(config: Config, folder: Path) -> Iterator[str]:
    """A model of a class that nothing is known of can be trained only where its modules are named."""
    if TASKS[config.task.name].trains and config.lora.method is not LoraMethod.none:
        try:
            lora_targets(config, folder)
        except UserError as error:
            yield from error.problems


def _writable(key: str, folder: Path) -> Iterator[str]:
    """A folder that exists must take files; one that does not must be creatable below the nearest that does."""
    nearest = folder.absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        yield f"{key}={folder}: {nearest} is a file, not a folder; choose another folder"
    elif not os.access(nearest, os.W_OK | os.X_OK) or os.statvfs(nearest).f_flag & os.ST_RDONLY:
        yield f"{key}={folder}: {nearest} cannot be written to; choose another folder or change its permissions"


def _adapter_problems(config: Config, given: str) -> Iterator[str]:
    try:
        fetched = adapters.is_here(config)
    except UserError as error:
        yield from error.problems
        return
    if fetched:
        yield from adapters.problems(config, adapters.published_folder(config) or adapter_folder(given))
    else:
        yield from _writable("models", Path(config.models))
