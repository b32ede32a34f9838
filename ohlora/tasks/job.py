"""One phase of one run, in its process: what a task module gets, and the record written however it ends."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from omegaconf import DictConfig, OmegaConf

from ohlora.config.schema import Config
from ohlora.config.tasks import PHASES, PREPARE
from ohlora.errors import Unsupported, UserError
from ohlora.files import encode_json, read_json, write_json
from ohlora.measure.metrics import require_declared
from ohlora.measure.shortage import explain_shortage, is_out_of_memory
from ohlora.planning.plan import Plan
from ohlora.records.layout import PLAN_FILE
from ohlora.records.result import PhaseRecord, Status

WARM = "OHLORA_WARM"  # in the environment of a phase that was forked (ohlora.running.warm)


@dataclass
class Job:
    """One phase of one run. `record` and the values written with `metric` become the result."""

    plan: Plan
    attempt: Path
    phase: str
    emit: Callable[[dict[str, Any]], None]
    metrics_file: IO[str]
    record: PhaseRecord = field(default_factory=lambda: PhaseRecord(Status.finished.value))

    @property
    def config(self) -> Config:
        return self.plan.config

    def stage(self, name: str, total: int | None = None, unit: str = "") -> None:
        """Report the current stage; with `total` it is shown as a bar."""
        self.emit({"event": "stage", "name": name, "total": total, "unit": unit})

    def note(self, text: str) -> None:
        """Show one line that the user should see while the phase goes on."""
        self.emit({"event": "note", "text": text})

    def advance(self, done: int, **shown: float) -> None:
        self.emit({"event": "progress", "done": done, **shown})

    def metric(self, key: str, value: float, step: int | None = None) -> None:
        """Write one number to metrics.jsonl now; without a step it is a final metric of the run.

        Raises:
            LookupError: `ohlora/measure/metrics.py` does not declare the key.
        """
        require_declared(key, curve=step is not None)
        line = {"key": key, "value": value, "step": step, "time": time.time()}
        self.metrics_file.write(encode_json(line) + "\n")
        self.metrics_file.flush()
        if step is None:
            self.record.metrics[key] = value


def run_phase(attempt: Path, phase: str, emit: Callable[[dict[str, Any]], None]) -> None:
    """Run one phase and write its record, even if it fails."""
    with (attempt / "metrics.jsonl").open("a", encoding="utf-8") as metrics:
        job = Job(Plan(read_config(attempt)), attempt, phase, emit, metrics)
        try:
            if phase != PREPARE.name:
                check_data(job.plan, attempt)
            import_module(PHASES[phase].module).run(job)
        except Unsupported as error:
            _end(job, Status.unsupported, error.code, str(error))
        except UserError as error:
            _end(job, Status.failed, "bad_input", str(error))
        except Exception as error:
            traceback.print_exc()
            if is_out_of_memory(error):
                _end(job, Status.oom, "out_of_memory", explain_shortage(error))
            else:
                name = type(error).__name__
                _end(job, Status.failed, name, (str(error).strip() or name).splitlines()[0])
        write_json(attempt / "phases" / f"{phase}.json", vars(job.record))


def check_data(plan: Plan, attempt: Path) -> None:
    """Check that the data file is the same as when this attempt was planned.

    Raises:
        UserError: it has changed since.
    """
    planned = attempt / PLAN_FILE  # attempts of earlier versions have none
    if planned.is_file() and read_json(planned)["data"] != plan.data_hash:
        raise UserError(f"data.path={plan.config.data.path}: has changed since this run started; start the run again")


def read_node(attempt: Path) -> DictConfig:
    """Read an attempt's resolved configuration and merge it into the schema."""
    node = OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.load(attempt / "config.yaml"))
    assert isinstance(node, DictConfig)
    return node


def read_config(attempt: Path) -> Config:
    """Read an attempt's configuration as typed objects."""
    config = OmegaConf.to_object(read_node(attempt))
    assert isinstance(config, Config)
    return config


def _end(job: Job, status: Status, code: str, text: str) -> None:
    job.record.status, job.record.reason = status.value, {"code": code, "text": text}
