"""Run one plan and write its result: folder, attempt, phases, tracking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from ohlora.config.schema import DataConfig
from ohlora.data.sources import data_files
from ohlora.errors import UserError
from ohlora.files import write_atomic, write_json
from ohlora.models.acceptance import read_acceptance
from ohlora.models.folder import describe_model, is_there
from ohlora.planning.plan import Plan
from ohlora.records.layout import PLAN_FILE, attempts
from ohlora.records.result import Result, Status
from ohlora.running import progress
from ohlora.running.phases import run_phases
from ohlora.tracking.mlflow_tracker import Tracker, open_tracker


@dataclass(frozen=True)
class Place:
    """A run's place in a study: its identity, its position in the order, its MLflow parent run, its track.

    `redo`: how often it, or its pair, was repeated because the machine disturbed it.
    """

    run_id: str
    order: int = 0
    parent: str | None = None
    track: str = ""
    redo: int = 0


def execute(plan: Plan, folder: Path | None = None, place: Place | None = None) -> tuple[Result, Path]:
    """Run this plan in a new attempt; write `result.json` into the attempt and the run directory.

    `folder` is the run directory; by default `<outputs>/<study>/<run_id>`. A result is always written and
    the MLflow run closed, however the run ends. Returns the result and the attempt's folder.
    """
    config, arm = plan.config, plan.arm
    place = place or Place(plan.identify())
    folder = folder or Path(config.outputs) / config.study / place.run_id
    attempt = _new_attempt(folder)
    written = _rerunnable(plan)
    write_atomic(attempt / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(written)))
    if config.task.name != "prepare":  # reads no data
        write_json(attempt / PLAN_FILE, {"data": plan.data_hash})
    result = Result(
        place.run_id,
        Status.cancelled.value,
        config.task.name,
        arm,
        config.repeat,
        place.order,
        place.track,
        requested=written,
        redo=place.redo,
    )
    result.reason = {"code": "interrupted", "text": "cancelled before it started"}
    with progress.show_progress(f"{config.task.name} · {arm} · {config.model.name}") as show:
        tracker = open_tracker(config, show.line) if plan.task.tracked else None
        try:
            if tracker:
                tracker.begin(config, result, attempt, place.parent, plan.run_rows)
            sink = feed_between_phases(show.event, tracker)
            run_phases(config.launch, config.device, config.backend.name, attempt, plan.phases, result, sink)
        except Exception as error:  # a bug or a full disk: the run still gets a result
            result.status, result.reason = Status.failed.value, {"code": type(error).__name__, "text": str(error)}
            raise
        finally:
            _finish(plan.refresh(), result, attempt, folder, tracker)
    return result, attempt


def _finish(plan: Plan, result: Result, attempt: Path, folder: Path, tracker: Tracker | None) -> None:
    """Write the result and close the MLflow run, even after an error."""
    try:
        if is_there(plan.model):
            accepted = read_acceptance(plan.model, plan.licence)
            result.model = {**describe_model(plan.model, plan.licence), "licence_accepted": accepted}
        result.write(attempt)
        result.write(folder)
    finally:
        if tracker:
            tracker.end(result, attempt)


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
            (folder / "result.json").unlink(missing_ok=True)  # it belongs to the previous attempt
            return (folder / f"attempt-{number}").resolve()
    except OSError as error:
        raise UserError(
            f"outputs: {folder} cannot be created ({error.strerror}); choose another with outputs=<folder>"
        ) from None


def _rerunnable(plan: Plan) -> dict[str, Any]:
    """The resolved configuration with absolute paths, so that it can be run again from any folder."""

    def full(path: str | Path | None) -> str | None:
        return None if path is None else str(Path(path).absolute())

    config, resolved = plan.config, plan.resolved
    return {
        **resolved,
        "arm": plan.arm,
        "outputs": full(config.outputs),
        "models": full(config.models),
        "adapter": full(plan.adapter_folder),
        "judge": {**resolved["judge"], "against": full(plan.against_folder)},
        "model": {**resolved["model"], "path": full(config.model.path)},
        "data": {**resolved["data"], "path": _absolute_paths(config.data)},
    }


def _absolute_paths(data: DataConfig) -> str | list[str] | None:
    """The data files with absolute paths: null for a set of the package, one path, or several; the folder that keeps a
    published set."""
    if data.repo:
        return str(Path(str(data.path)).absolute())
    paths = [str(path.absolute()) for path in data_files(data)] if data.path else []
    return paths if len(paths) > 1 else next(iter(paths), None)


def feed_between_phases(
    show: Callable[[dict[str, Any]], None], tracker: Tracker | None
) -> Callable[[dict[str, Any]], None]:
    """Show each event; when a phase's process has ended, let the tracker read the new lines of metrics.jsonl.

    Not earlier: MLflow must not use the processor while a child is being timed.
    """
    if tracker is None:
        return show

    def sink(event: dict[str, Any]) -> None:
        show(event)
        if event["event"] == "end":
            tracker.feed()

    return sink
