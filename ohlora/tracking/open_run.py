"""Write to one MLflow run at a time; no failure of the store stops a training."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from ohlora.tracking.store import open_store, shorten

PARAMS, METRICS = 100, 500  # of one request


class OpenRun:
    """The currently open run in an experiment. Once the store is open, nothing here raises."""

    def __init__(self, uri: str, experiment: str, say: Callable[[str], None]) -> None:
        self.uri, self.say = uri, say
        self.client, self.experiment_id = open_store(uri, experiment, say)
        self.run_id: str | None = None
        self._close_orphans()

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
        for start in range(0, len(params or []), PARAMS):
            self.client.log_batch(self.run_id, params=(params or [])[start : start + PARAMS])
        for start in range(0, len(metrics or []), METRICS):
            self.client.log_batch(self.run_id, metrics=(metrics or [])[start : start + METRICS])

    def _safely(self, do: Callable[..., object], *arguments: Any, **named: Any) -> None:
        try:
            do(*arguments, **named)
        except Exception as error:
            self.say(f"MLflow: {shorten(error)}; the run continues, its results are in its folder")

    @staticmethod
    def _owner() -> dict[str, str]:
        return {"ohlora.host": socket.gethostname(), "ohlora.pid": str(os.getpid())}

    def _close_orphans(self) -> None:
        """Close runs of this host whose process was killed with the status KILLED."""
        import psutil

        running = self.client.search_runs([self.experiment_id], filter_string="attributes.status = 'RUNNING'")
        for run in running:
            tags = run.data.tags
            if tags.get("ohlora.host") == socket.gethostname() and not psutil.pid_exists(
                int(tags.get("ohlora.pid", 0))
            ):
                self._safely(self.client.set_tag, run.info.run_id, "status", "killed")
                self._safely(self.client.set_terminated, run.info.run_id, "KILLED")
