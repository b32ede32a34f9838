"""What a task module is given in the child: the configuration, its folder, and where to put what it finds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ohlora.config.schema import Config
from ohlora.result import PhaseRecord, Status


@dataclass
class Job:
    """One phase of one run. What is put into `record` and written with `metric` becomes the result."""

    config: Config
    attempt: Path
    phase: str
    emit: Callable[[dict[str, Any]], None]
    metrics_file: IO[str]
    record: PhaseRecord = field(default_factory=lambda: PhaseRecord(Status.finished.value))

    def stage(self, name: str, total: int | None = None, unit: str = "") -> None:
        """Say what is being waited for; `total` makes it a bar."""
        self.emit({"event": "stage", "name": name, "total": total, "unit": unit})

    def advance(self, done: int, **shown: float) -> None:
        self.emit({"event": "progress", "done": done, **shown})

    def metric(self, key: str, value: float, step: int | None = None) -> None:
        """Write one number to metrics.jsonl now; without a step it is one of the run's final numbers."""
        line = {"key": key, "value": value, "step": step, "time": time.time()}
        self.metrics_file.write(json.dumps(line) + "\n")
        self.metrics_file.flush()
        if step is None:
            self.record.metrics[key] = value


class Unsupported(Exception):
    """The back end cannot run here; ends the run as `unsupported`, never as another back end."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
