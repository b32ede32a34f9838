"""Checks before anything heavy starts: files, folders, columns, memory. Writes no results."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from ohlora.backends import Setting, backend
from ohlora.config.choices import LoraMethod
from ohlora.errors import UserError
from ohlora.measure.gpus import device_problems
from ohlora.models import adapters
from ohlora.models.architectures import architecture
from ohlora.models.checks import code_problems, folder_problems, small_problems, subject
from ohlora.models.folder import find_mismatch, has_tokenizer, is_prepared
from ohlora.models.retokenise import outdated_note
from ohlora.models.weights import pickle_problems
from ohlora.persona.problems import find_unknown_facts
from ohlora.planning.plan import AGAINST, Plan
from ohlora.records.manifest import SELECTION
from ohlora.tracking.store import local_path, store_uri


def check(plan: Plan, alone: bool = True) -> None:
    """Check the run's files and folders, then whether it fits on its device.

    `alone`: refuse a run that does not fit; in a study it is skipped instead.

    Raises:
        UserError: with every problem.
    """
    found = list(_problems(plan))
    if found:
        raise UserError(found)
    _print_adapter_notes(plan)
    problem = plan.fit_problem
    if problem and problem.stops and alone:
        raise UserError(problem.text)
    warnings = [problem.text] if problem and not problem.stops else []
    if plan.config.task.name != "prepare" and (outdated := outdated_note(plan.model)):
        warnings.append(outdated)
    for warning in [*warnings, *device_warnings(plan)]:
        print(f"warning: {warning}", file=sys.stderr)


def device_warnings(plan: Plan) -> Iterator[str]:
    """Settings that the back end would not follow on this run's device."""
    if any(phase.backend for phase in plan.task.phases):
        name = architecture(plan.config.model, plan.model_folder if plan.model_folder.is_dir() else None)
        there = plan.capacity
        capability = there.gpu.capability if there.gpu else None
        setting = Setting(name, there.device, there.dtype, capability, plan.task.trains)
        yield from backend(plan.config.backend.name).warnings(setting)


def _problems(plan: Plan) -> Iterator[str]:
    config = plan.config
    yield from _writable("outputs", Path(config.outputs))
    if config.tracking.name == "mlflow" and local_path(store_uri(config)) == Path.cwd() / "mlflow.db":
        yield from _writable("tracking.uri (the working directory)", Path.cwd())
    yield from device_problems(config.device)
    yield from _model_problems(plan)
    if config.task.name != "prepare":
        try:
            _ = plan.rows if config.task.name == "inspect_data" else plan.run_rows
            if config.task.name == SELECTION:
                _ = plan.held_out
        except UserError as error:
            yield from error.problems
    if plan.task.judges:
        yield from _persona_problems(plan)
    for name, given in ((adapters.KEY, config.adapter), (AGAINST, config.judge.against)):
        if given is not None:
            yield from _adapter_problems(plan, name, given)


def _persona_problems(plan: Plan) -> Iterator[str]:
    """Facts that the questions ask for and the card does not have."""
    persona = plan.config.persona
    if not persona.facts:
        return
    try:
        asked = {str(row.checks["fact"]) for row in plan.run_rows.prompts if "fact" in row.checks}
    except UserError:
        return  # said already
    yield from find_unknown_facts(persona, asked)


def _model_problems(plan: Plan) -> Iterator[str]:
    model, folder = plan.config.model, plan.model_folder
    if plan.config.task.name == "inspect_data" and has_tokenizer(folder):
        yield from code_problems(model, folder)  # no weights are read
    elif plan.model.is_in_place:
        found = folder_problems(model, folder)
        yield from found
        if not found:
            yield from _target_problems(plan)
    elif problem := find_mismatch(plan.model):
        yield problem
    elif is_prepared(folder):
        yield from code_problems(model, folder)
        yield from _target_problems(plan)
    else:
        yield from _writable("models", plan.model.models)
        if model.path:
            given = Path(model.path)
            yield from small_problems(model, given)
            yield from pickle_problems(given, subject(model))
        else:
            yield from code_problems(model, folder, here=False)


def _target_problems(plan: Plan) -> Iterator[str]:
    """A model of an unknown class can be trained only if lora.targets names its modules."""
    if plan.task.trains and plan.config.lora.method is not LoraMethod.none:
        try:
            _ = plan.lora_targets
        except UserError as error:
            yield from error.problems


def _writable(key: str, folder: Path) -> Iterator[str]:
    """An existing folder must be writable; for a new one its nearest existing parent must be."""
    nearest = folder.absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        yield f"{key}={folder}: {nearest} is a file, not a folder; choose another folder"
    elif not os.access(nearest, os.W_OK | os.X_OK) or os.statvfs(nearest).f_flag & os.ST_RDONLY:
        yield f"{key}={folder}: {nearest} cannot be written to; choose another folder or change its permissions"


def _planned_sizes(plan: Plan) -> dict[str, set[tuple[int, int]]]:
    """Module -> its (inputs, outputs) in this model, from the model option."""
    sizes: dict[str, set[tuple[int, int]]] = {}
    for matrix in plan.shape.matrices if plan.shape else ():
        sizes.setdefault(matrix.name, set()).add((matrix.inputs, matrix.outputs))
    return sizes


def _print_adapter_notes(plan: Plan) -> None:
    config = plan.config
    given = {adapters.KEY: (config.adapter, plan.adapter_folder), AGAINST: (config.judge.against, plan.against_folder)}
    for name, (adapter, folder) in given.items():
        note = adapters.base_note(plan.model, folder, f"{name}={adapter}") if folder else ""
        if note:
            print(f"note: {note}", file=sys.stderr)


def _adapter_problems(plan: Plan, name: str, given: str) -> Iterator[str]:
    try:
        fetched = adapters.is_here(given, plan.model.models, name)
    except UserError as error:
        yield from error.problems
        return
    if fetched:
        planned = {} if plan.config.model.path else _planned_sizes(plan)  # the option does not describe another folder
        folder = plan.adapter_folder if name == adapters.KEY else plan.against_folder
        yield from adapters.find_problems(given, plan.model, folder, planned, name)
    else:
        yield from _writable("models", plan.model.models)
