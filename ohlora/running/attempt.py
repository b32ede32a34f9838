"""One run from its configuration to its result: folder, attempt, phases, tracking."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from ohlora.config.identity import flatten, measured, run_id
from ohlora.config.schema import Config
from ohlora.config.tasks import PREPARE, TASKS, TOKENIZE, Phase
from ohlora.data.rows import PACKAGED, run_rows
from ohlora.data.tokens import tokens_path
from ohlora.errors import UserError
from ohlora.files import sha256_file, sha256_of, write_atomic
from ohlora.models import adapters
from ohlora.models.acceptance import read_acceptance
from ohlora.models.folder import facts, is_there, model_folder, source_hash
from ohlora.models.licences import licence_of
from ohlora.records.layout import adapter_folder, attempts
from ohlora.records.manifest import PlannedRun
from ohlora.records.result import Result, Status
from ohlora.running import progress
from ohlora.running.phases import run_phases
from ohlora.tracking.mlflow_tracker import Tracker, open_tracker


@dataclass(frozen=True)
class Place:
    """Where a run stands: its identity, its place in its sweep's order, the MLflow run above it, its track."""

    run_id: str
    order: int = 0
    parent: str | None = None
    track: str = ""


def to_plain(composed: DictConfig) -> dict[str, Any]:
    """The resolved configuration as plain dicts, as it is hashed and written."""
    resolved = OmegaConf.to_container(composed, resolve=True, enum_to_str=True)
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}


def identify(config: Config, resolved: dict[str, Any], arm: str) -> str:
    """The run's id. Files count by what they hold, not by where they lie."""
    return run_id(hash_files(config, resolved), arm, config.repeat)


def record_request(job: PlannedRun, config: Config, resolved: dict[str, Any]) -> PlannedRun:
    """The planned run with its id, and with what it asks for, which a report reads where it leaves no result."""
    hashed = hash_files(config, resolved)
    return replace(job, run_id=run_id(hashed, job.arm, job.repeat), asked=flatten(measured(hashed)))


def hash_files(config: Config, resolved: dict[str, Any]) -> dict[str, Any]:
    """The configuration with the hash of each file in place of its path: the same on every machine."""
    hashed = {**resolved, "data": {**resolved["data"]}, "model": {**resolved["model"]}}
    hashed["data"]["path"] = sha256_file(Path(config.data.path) if config.data.path else PACKAGED)
    if config.model.path:
        hashed["model"]["path"] = source_hash(config)
    adapter = adapter_folder(config.adapter) if config.adapter else None
    if adapter:
        hashed["adapter"] = sha256_of(sha256_file(path) for path in sorted(adapter.glob("adapter_model.*")))
    return hashed


def name_arm(config: Config) -> str:
    """The run's name in a comparison: what the sweep gave it, or its back end."""
    return config.arm or f"backend={config.backend.name}"


def execute(
    config: Config,
    resolved: dict[str, Any],
    folder: Path | None = None,
    place: Place | None = None,
) -> tuple[Result, Path]:
    """Run this configuration in a new attempt and leave `result.json` in the attempt and in the run directory.

    `folder` is the run directory; by default `<outputs>/<study>/<run_id>`. However it ends, a result is written and
    the MLflow run closed. Returns the result and the attempt's folder.
    """
    arm = name_arm(config)
    place = place or Place(identify(config, resolved, arm))
    folder = folder or Path(config.outputs) / config.study / place.run_id
    attempt = _new_attempt(folder)
    config = _absolute(config)
    written = {**resolved, "arm": arm, "outputs": config.outputs, "models": config.models, "adapter": config.adapter}
    written["model"] = {**resolved["model"], "path": config.model.path}
    written["data"] = {**resolved["data"], "path": config.data.path}
    write_atomic(attempt / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(written)))
    result = Result(
        place.run_id,
        Status.cancelled.value,
        config.task.name,
        arm,
        config.repeat,
        place.order,
        place.track,
        requested=written,
    )
    result.reason = {"code": "interrupted", "text": "cancelled before it began"}
    with progress.show_progress(f"{config.task.name} · {arm} · {config.model.name}") as show:
        tracker = open_tracker(config, show.line) if TASKS[config.task.name].tracked else None
        try:
            if tracker:
                tracker.begin(config, result, attempt, place.parent)
            run_phases(config, attempt, plan_phases(config), result, _both(show.event, tracker))
        except Exception as error:  # a defect of ours or a full disk: the run has ended all the same
            result.status, result.reason = Status.failed.value, {"code": type(error).__name__, "text": str(error)}
            raise
        finally:
            _finish(config, result, attempt, folder, tracker)
    return result, attempt


def _finish(config: Config, result: Result, attempt: Path, folder: Path, tracker: Tracker | None) -> None:
    """Write the result and close the MLflow run, whatever happened before."""
    try:
        if is_there(config):
            result.model = {**facts(config, licence_of(config)), "licence_accepted": read_acceptance(config)}
        result.write(attempt)
        result.write(folder)
    finally:
        if tracker:
            tracker.end(result, attempt)


def plan_phases(config: Config) -> tuple[Phase, ...]:
    """The task's phases, after those that make what is not there yet: the prepared model, the tokens."""
    phases = TASKS[config.task.name].phases
    if config.task.name == "prepare":
        return phases
    folder = model_folder(config)
    if not (is_there(config) and adapters.is_here(config)):
        return (PREPARE, TOKENIZE, *phases)
    if not tokens_path(config, folder, run_rows(config)).is_file():
        return (TOKENIZE, *phases)
    return phases


def _new_attempt(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        number = len(attempts(folder)) + 1
        while True:
            try:
                (folder / f"attempt-{number}").mkdir()
            except FileExistsError:
                number += 1
                continue
            (folder / "result.json").unlink(missing_ok=True)  # it belongs to the attempt before
            return (folder / f"attempt-{number}").resolve()
    except OSError as error:
        raise UserError(
            f"outputs: {folder} cannot be made ({error.strerror}); choose another with outputs=<folder>"
        ) from None


def _absolute(config: Config) -> Config:
    """The same configuration with every path absolute, so that it can be run again from anywhere."""

    def full(path: str | None) -> str | None:
        return None if path is None else str(Path(path).absolute())

    adapter = adapters.published_folder(config) or adapter_folder(config.adapter) if config.adapter else None
    return replace(
        config,
        outputs=str(Path(config.outputs).absolute()),
        models=str(Path(config.models).absolute()),
        adapter=str(adapter.absolute()) if adapter else None,
        model=replace(config.model, path=full(config.model.path)),
        data=replace(config.data, path=full(config.data.path)),
    )


def _both(show: Callable[[dict[str, Any]], None], tracker: Tracker | None) -> Callable[[dict[str, Any]], None]:
    """Events go to the screen; every few seconds the tracker takes in what metrics.jsonl has gained."""
    if tracker is None:
        return show
    fed = time.monotonic()

    def sink(event: dict[str, Any]) -> None:
        nonlocal fed
        show(event)
        if time.monotonic() - fed > tracker.FEED_EVERY_S:
            tracker.feed()
            fed = time.monotonic()

    return sink
