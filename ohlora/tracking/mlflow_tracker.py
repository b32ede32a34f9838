"""Results into MLflow. The run folders are the truth; this is a view of them (`report/fetched.py` reads it back).

`mlflow ui` in the folder where the run was started shows everything.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from ohlora.config.schema import Config
from ohlora.files import read_jsonl
from ohlora.records.manifest import MANIFEST, RECOMMENDED
from ohlora.records.result import Result, Status

if TYPE_CHECKING:
    from ohlora.report.folder import FolderReport

ENDED = {Status.finished: "FINISHED", Status.killed: "KILLED", Status.cancelled: "KILLED"}
MAX_VALUE = 6000
MAX_NOTE = 8000  # MLflow cuts a description there
RUN_FILES = ("config.yaml", "result.json", "metrics.jsonl", "memory.jsonl")
BATCH = 500


def open_tracker(config: Config, say: Callable[[str], None]) -> Tracker | None:
    """A tracker on its store, database and experiment made; None for tracking=none.

    A store that cannot be opened is said, and the run goes on: its files can be read later.
    """
    if config.tracking.name == "none":
        return None
    try:
        return Tracker(store_uri(config), config.tracking.experiment, say)
    except Exception as error:
        say(f"MLflow: {_short(error)}; the run goes on, its results are in its folder")
        return None


def store_uri(config: Config) -> str:
    """Absolute: what a bare `mlflow ui` in this folder opens."""
    return config.tracking.uri or f"sqlite:///{Path.cwd() / 'mlflow.db'}"


class Tracker:
    """One MLflow run of ours at a time. Nothing here raises: tracking must never end a training."""

    FEED_EVERY_S = 10.0

    def __init__(self, uri: str, experiment: str, say: Callable[[str], None]) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_DISABLE_AGENT_SKILLS_HINT", "true")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # a dead server must not hold a run up
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        from mlflow import MlflowClient

        for name in ("alembic", "mlflow", "mlflow.store.db.utils"):
            logging.getLogger(name).setLevel(logging.WARNING)

        self.say = say
        local = Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None
        # Two processes that make one database at once break it, so the second waits for the first.
        with FileLock(f"{local}.lock") if local else contextlib.nullcontext():
            self.client = MlflowClient(uri)
            found = self.client.get_experiment_by_name(experiment)
            location = (local.parent / "mlruns").as_uri() if local else None
            self.experiment_id = (
                found.experiment_id if found else self.client.create_experiment(experiment, artifact_location=location)
            )
        self.run_id: str | None = None
        self._close_orphans()

    def begin(self, config: Config, result: Result, attempt: Path, parent: str | None) -> None:
        """Start the MLflow run of one attempt: a name to read, its parameters, whose it is."""
        from mlflow.entities import Param

        from ohlora.config.identity import flatten

        self.metrics_path, self.fed = attempt / "metrics.jsonl", set[tuple[str, int]]()
        rank = "" if config.task.name == "infer" else f" · r{config.lora.rank}"
        track = f"{result.track}: " if result.track == RECOMMENDED else ""
        name = f"{track}{result.arm} · {config.model.name}{rank} · {config.task.name}"
        tags = {
            "backend": config.backend.name,
            "arm": result.arm,
            "track": result.track,
            "repeat": str(result.repeat),
            "ohlora.run_id": result.run_id,
            "ohlora.folder": str(attempt),
            **self._owner(),
        }
        if parent:
            tags["mlflow.parentRunId"] = parent
        self._start(f"{name} #{result.repeat}" if result.repeat else name, tags)
        params = [
            Param(key, str(value)[:MAX_VALUE]) for key, value in flatten(result.requested).items() if value is not None
        ]
        self._safely(self._log, params=params)

    def begin_sweep(self, name: str, note: str, before: str | None = None) -> str | None:
        """Start the run above a sweep's, or go on with that of an earlier call; returns its id for the children."""
        tags = {**self._owner(), "mlflow.note.content": note, "ohlora.sweep": name}
        if before is None or not self._goes_on(before, tags):
            self._start(name, tags)
        return self.run_id

    def _goes_on(self, run: str, tags: dict[str, str]) -> bool:
        """Open a run of an earlier call again; False where this store does not have it."""
        try:
            self.client.update_run(run, status="RUNNING")
            for key, value in tags.items():
                self.client.set_tag(run, key, value)
        except Exception:
            return False
        self.run_id = run
        return True

    def feed(self) -> None:
        """Log what the curves in metrics.jsonl have gained. Safe to call again: (run, key, step) is logged once."""
        from mlflow.entities import Metric

        new = []
        for line in read_jsonl(self.metrics_path):
            where = (line["key"], line["step"])
            if line["step"] is not None and where not in self.fed:
                self.fed.add(where)
                new.append(Metric(line["key"], float(line["value"]), int(line["time"] * 1000), line["step"]))
        self._safely(self._log, metrics=new)

    def end(self, result: Result, attempt: Path) -> None:
        """Log the final numbers, attach the files, close the run with how it really ended."""
        if self.run_id is None:
            return
        from mlflow.entities import Metric

        self.feed()
        run, now = self.run_id, int(time.time() * 1000)
        curves = {key for key, _ in self.fed}  # the last step of a curve says the same as its final number
        final = [Metric(key, value, now, 0) for key, value in result.metrics.items() if key not in curves]
        self._safely(self._log, metrics=final)
        tags = {
            "status": result.status,
            "device": str(result.device.get("name", "")),
            "model": str(result.model.get("label", "")),
            "licence": licence_tag(result),
        }
        if result.reason:
            tags["reason"] = result.reason.get("text", "")
        for key, value in tags.items():
            self._safely(self.client.set_tag, run, key, value)
        for name in RUN_FILES:
            if (attempt / name).is_file():
                self._safely(self.client.log_artifact, run, str(attempt / name))
        for name in ("samples", "phases"):
            if (attempt / name).is_dir():
                self._safely(self.client.log_artifacts, run, str(attempt / name), name)
        from ohlora.report.comparison.table import single_table

        self._safely(self.client.log_text, run, single_table(result), "table.md")
        self._close(ENDED.get(Status(result.status), "FAILED"))

    def end_sweep(self, folder: Path, report: FolderReport | None, finished: bool) -> None:
        """Attach the report to the parent run, put it into the run's description, and the verdicts into its tags."""
        if self.run_id is None:
            return
        run = self.run_id
        if report:
            from ohlora.report.comparison.write import ARTIFACTS

            for path in sorted(path for name in (MANIFEST, *ARTIFACTS) for path in folder.glob(name)):
                self._safely(self.client.log_artifact, run, str(path))
            self._safely(self.client.set_tag, run, "mlflow.note.content", report.note[:MAX_NOTE])
            for key, value in report.tags.items():
                self._safely(self.client.set_tag, run, key, value[:MAX_VALUE])
        self._close("FINISHED" if finished else "FAILED")

    def _start(self, name: str, tags: dict[str, str]) -> None:
        def start() -> None:
            self.run_id = self.client.create_run(self.experiment_id, run_name=name, tags=tags).info.run_id

        self.run_id = None
        self._safely(start)

    def _close(self, status: str) -> None:
        run = self.run_id
        self._safely(self.client.set_terminated, run, status)
        self.run_id = None

    def _log(self, params: list[Any] | None = None, metrics: list[Any] | None = None) -> None:
        if self.run_id is None:
            return
        for start in range(0, len(params or []), 100):
            self.client.log_batch(self.run_id, params=(params or [])[start : start + 100])
        for start in range(0, len(metrics or []), BATCH):
            self.client.log_batch(self.run_id, metrics=(metrics or [])[start : start + BATCH])

    def _safely(self, do: Callable[..., object], *arguments: Any, **named: Any) -> None:
        try:
            do(*arguments, **named)
        except Exception as error:
            self.say(f"MLflow: {_short(error)}; the run goes on, its results are in its folder")

    @staticmethod
    def _owner() -> dict[str, str]:
        return {"ohlora.host": socket.gethostname(), "ohlora.pid": str(os.getpid())}

    def _close_orphans(self) -> None:
        """Runs of this host whose process is gone (killed before it could say so) are closed as KILLED."""
        import psutil

        running = self.client.search_runs([self.experiment_id], filter_string="attributes.status = 'RUNNING'")
        for run in running:
            tags = run.data.tags
            if tags.get("ohlora.host") == socket.gethostname() and not psutil.pid_exists(
                int(tags.get("ohlora.pid", 0))
            ):
                self._safely(self.client.set_tag, run.info.run_id, "status", "killed")
                self._safely(self.client.set_terminated, run.info.run_id, "KILLED")


def licence_tag(result: Result) -> str:
    """'gemma, terms of April 1, 2026, accepted 2026-11-25T…'; the tag alone where nothing has to be accepted."""
    accepted = result.model.get("licence_accepted")
    said = f", terms of {accepted['version']}, accepted {accepted['accepted']}" if accepted else ""
    return f"{result.model.get('licence', '')}{said}"


def _short(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
