"""Write results into MLflow. The run folders are the source; MLflow has a copy (`tracking/fetch.py` reads it back).

`make ui`, or `python -m ohlora.tracking.ui`, in the folder where the run was started shows everything.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ohlora.config.schema import Config
from ohlora.data.run_rows import RunRows
from ohlora.files import read_jsonl, write_json
from ohlora.records.layout import MLFLOW_RUN
from ohlora.records.manifest import MANIFEST, RECOMMENDED
from ohlora.records.result import Result, Status
from ohlora.tracking.inputs import dataset_inputs, source_tags
from ohlora.tracking.links import Shown, link_lines
from ohlora.tracking.open_run import OpenRun
from ohlora.tracking.store import shorten, store_uri
from ohlora.tracking.studies import newest_finished, runs_under
from ohlora.tracking.view import saved_view

if TYPE_CHECKING:
    from ohlora.report.folder import FolderReport

ENDED = {Status.finished: "FINISHED", Status.killed: "KILLED", Status.cancelled: "KILLED"}
MAX_VALUE = 6000
MAX_NOTE = 8000  # longest description in MLflow
RUN_FILES = ("config.yaml", "result.json", "metrics.jsonl", "memory.jsonl", "judge.json", "judge.html", "judge.md")


def open_tracker(config: Config, say: Callable[[str], None]) -> Tracker | None:
    """Open the store and the experiment, creating them if needed; None for tracking=none.

    If the store cannot be opened, that is reported and the run continues; its folder has all results.
    """
    if config.tracking.name == "none":
        return None
    try:
        tracker = Tracker(store_uri(config), config.tracking.experiment, say)
    except Exception as error:
        say(f"MLflow: {shorten(error)}; the run continues, its results are in its folder")
        return None
    tracker.given = config.tracking.uri is not None
    return tracker


class Tracker(OpenRun):
    """Writes runs and studies into their MLflow runs."""

    given = False  # whether tracking.uri names the store

    def begin(
        self, config: Config, result: Result, attempt: Path, parent: str | None, rows: RunRows | None = None
    ) -> None:
        """Start the MLflow run of one attempt, with its name, parameters, data and parent."""
        from mlflow.entities import Param

        from ohlora.config.identity import flatten

        self.metrics_path, self.fed = attempt / "metrics.jsonl", set[tuple[str, int]]()
        rank = "" if config.task.name in ("infer", "judge") else f" · r{config.lora.rank}"
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
            **source_tags(),
        }
        if parent:
            tags["mlflow.parentRunId"] = parent
        self._start(f"{name} #{result.repeat}" if result.repeat else name, tags)
        params = [
            Param(key, str(value)[:MAX_VALUE])
            for key, value in flatten(result.requested).items()
            if value is not None and (not key.startswith("persona.") or key == "persona.name")  # a card is a file
        ]
        self._safely(self._log, params=params)
        if self.run_id:
            write_json(attempt / MLFLOW_RUN, {"experiment_id": self.experiment_id, "run_id": self.run_id})
            if rows:
                self._safely(self.client.log_inputs, self.run_id, dataset_inputs(config, rows))

    def begin_sweep(self, name: str, note: str, before: str | None = None) -> str | None:
        """Start a study's parent run, or reopen that of an earlier call; return its id for the children."""
        self.study = name
        tags = {**self._owner(), **source_tags(), "mlflow.note.content": note, "ohlora.sweep": name}
        if before is None or not self._goes_on(before, tags):
            self._start(name, tags)
        return self.run_id

    def _goes_on(self, run: str, tags: dict[str, str]) -> bool:
        """Reopen a run of an earlier call; False if this store does not have it."""
        try:
            self.client.update_run(run, status="RUNNING")
            for key, value in tags.items():
                self.client.set_tag(run, key, value)
        except Exception:
            return False
        self.run_id = run
        return True

    def feed(self) -> None:
        """Log the new points of the curves in metrics.jsonl. Safe to repeat: (run, key, step) is logged once."""
        from mlflow.entities import Metric

        new = []
        for line in read_jsonl(self.metrics_path):
            where = (line["key"], line["step"])
            if line["step"] is not None and where not in self.fed:
                self.fed.add(where)
                new.append(Metric(line["key"], float(line["value"]), int(line["time"] * 1000), line["step"]))
        self._safely(self._log, metrics=new)

    def end(self, result: Result, attempt: Path) -> None:
        """Log the final metrics, attach the files, close the run with its real status."""
        if self.run_id is None:
            return
        from mlflow.entities import Metric

        self.feed()
        run, now = self.run_id, int(time.time() * 1000)
        ends = {line["key"]: line for line in read_jsonl(self.metrics_path) if line["step"] is not None}
        final = [
            Metric(key, value, now, ends[key]["step"] if key in ends else 0)
            for key, value in result.metrics.items()
            if key not in ends or float(ends[key]["value"]) != value  # the best adapter's, not the last step's
        ]
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

    def end_sweep(self, folder: Path, report: FolderReport | None, finished: bool) -> list[str]:
        """Attach the report to the parent run, also as description, verdicts as tags; return lines with links."""
        if self.run_id is None:
            return []
        run = self.run_id
        if report:
            from ohlora.report.comparison.write import ARTIFACTS

            for path in sorted(path for name in (MANIFEST, *ARTIFACTS) for path in folder.glob(name)):
                self._safely(self.client.log_artifact, run, str(path))
            self._safely(self.client.set_tag, run, "mlflow.note.content", report.note[:MAX_NOTE])
            for key, value in report.tags.items():
                self._safely(self.client.set_tag, run, key, value[:MAX_VALUE])
        self._close("FINISHED" if finished else "FAILED")
        shown = Shown(self.experiment_id, run)
        try:
            shown = self._show_study(run)
        except Exception as error:
            self.say(f"MLflow: {shorten(error)}; the study has no view there")
        return link_lines(self.uri, shown, self.given)

    def _show_study(self, parent: str) -> Shown:
        """Save the study's view and return what to link."""
        runs = runs_under(self.client, self.experiment_id, parent)
        view = ""
        if runs:
            there = sorted({key for run in runs for key in run.data.metrics})
            tag, value = saved_view(self.study, parent, there, int(time.time() * 1000))
            self.client.set_experiment_tag(self.experiment_id, tag, value)
            view = parent
        return Shown(self.experiment_id, parent, view, newest_finished(runs))


def licence_tag(result: Result) -> str:
    """'gemma, terms of April 1, 2026, accepted 2026-11-25T…'; only the tag if nothing has to be accepted."""
    accepted = result.model.get("licence_accepted")
    said = f", terms of {accepted['version']}, accepted {accepted['accepted']}" if accepted else ""
    return f"{result.model.get('licence', '')}{said}"
