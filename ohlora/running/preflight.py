"""What can be known to fail before anything heavy starts: files, folders, columns. Reads, never writes results."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from ohlora.config.schema import Config, LoraMethod
from ohlora.errors import UserError
from ohlora.models import adapters
from ohlora.models.checks import code_problems, folder_problems, small_problems, subject
from ohlora.models.folder import is_in_place, is_prepared, prepared_otherwise
from ohlora.models.weights import pickle_problems
from ohlora.records.layout import adapter_folder
from ohlora.records.manifest import SELECTION
from ohlora.running.plan import Plan


def check(plan: Plan, alone: bool = True) -> None:
    """Every problem that files can show, and then whether the run fits on its device.

    `alone`: refuse it where it does not fit; among other runs it is left out as a row instead.

    Raises:
        UserError: with all of them.
    """
    found = list(_problems(plan))
    if found:
        raise UserError(found)
    problem = plan.fit_problem
    if problem and problem.stops and alone:
        raise UserError(problem.text)
    if problem and not problem.stops:
        print(f"warning: {problem.text}", file=sys.stderr)


def _problems(plan: Plan) -> Iterator[str]:
    config = plan.config
    yield from _writable("outputs", Path(config.outputs))
    if config.tracking.name == "mlflow" and config.tracking.uri is None:
        yield from _writable("tracking.uri (the working directory)", Path.cwd())
    yield from _model_problems(plan)
    if config.task.name != "prepare":
        try:
            _ = plan.selection
            if config.task.name == SELECTION:
                _ = plan.held_out
        except UserError as error:
            yield from error.problems
    if config.adapter is not None:
        yield from _adapter_problems(config, config.adapter)


def _model_problems(plan: Plan) -> Iterator[str]:
    config, folder = plan.config, plan.model_folder
    if is_in_place(config):
        found = folder_problems(config, folder)
        yield from found
        if not found:
            yield from _target_problems(plan)
    elif otherwise := prepared_otherwise(config):
        yield otherwise
    elif is_prepared(folder):
        yield from code_problems(config, folder)
        yield from _target_problems(plan)
    else:
        yield from _writable("models", Path(config.models))
        if config.model.path:
            given = Path(config.model.path)
            yield from small_problems(config, given)
            yield from pickle_problems(given, subject(config))
        else:
            yield from code_problems(config, folder, here=False)


def _target_problems(plan: Plan) -> Iterator[str]:
    """A model of a class that nothing is known of can be trained only where its modules are named."""
    if plan.task.trains and plan.config.lora.method is not LoraMethod.none:
        try:
            _ = plan.lora_targets
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
