"""Run the phases in order, each in a fresh process; turn every way a child can end into a status."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ohlora.backends import shared_env
from ohlora.config.schema import LaunchConfig
from ohlora.config.tasks import Phase
from ohlora.files import encode_json, write_json
from ohlora.measure.gpus import narrow_process
from ohlora.measure.sampler import MEMORY_TIMELINE
from ohlora.measure.shortage import explain_kill
from ohlora.records.result import PhaseRecord, Result, Status, read_phase
from ohlora.running import process
from ohlora.running.warm import find_server
from ohlora.tasks.job import WARM, run_phase

EventSink = Callable[[dict[str, Any]], None]
LOG_TAIL_LINES = 12


def run_phases(
    launch: LaunchConfig,
    device: str,
    backend: str,
    attempt: Path,
    phases: tuple[Phase, ...],
    result: Result,
    sink: EventSink,
) -> None:
    """Run the phases until one fails, adding each to `result`; `attempt` already has its config.yaml.

    `device`: as configured; a child reads it in config.yaml.
    """
    (attempt / "phases").mkdir(exist_ok=True)
    result.timings["started"] = time.time()
    with (attempt / "events.jsonl").open("a", encoding="utf-8") as events:

        def on_event(event: dict[str, Any]) -> None:
            events.write(encode_json({"time": time.time(), **event}) + "\n")
            events.flush()
            sink(event)

        for phase in phases:
            on_event({"event": "process", "phase": phase.name})
            record = _run_phase(launch, device, backend, attempt, phase, on_event)
            result.add(phase.name, record)
            on_event({"event": "end", "phase": phase.name, "status": record.status, "reason": record.reason})
            if record.status != Status.finished.value:
                break
    result.timings["ended"] = time.time()


def _run_phase(
    launch: LaunchConfig, device: str, backend: str, attempt: Path, phase: Phase, on_event: EventSink
) -> PhaseRecord:
    record_path = attempt / "phases" / f"{phase.name}.json"
    record_path.unlink(missing_ok=True)
    if not launch.isolate:
        narrow_process(device)
        run_phase(attempt, phase.name, on_event)
        return read_phase(record_path)
    log = attempt / "phases" / f"{phase.name}.log"
    compiled = attempt / "compiled"  # each run has its own compile cache
    caches = {name: str(compiled / name.lower()) for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")}
    env = process.child_env({**shared_env(compiled), **caches})
    if phase.backend:
        env["HF_HUB_OFFLINE"] = "1"
    if launch.threads:
        env["OMP_NUM_THREADS"] = str(launch.threads)
    command = [*launch.prefix, sys.executable, "-m", "ohlora.worker", str(attempt), "--phase", phase.name]
    server = None
    try:
        if launch.warm and phase.backend:
            server = find_server(backend, env)
        if server:
            env[WARM] = "1"
        ended = process.run(command, log, env, launch.timeout_s, on_event, server)
    except OSError as error:
        setting = "launch.warm=true" if launch.warm else f"launch.prefix={launch.prefix}"
        reason = {"code": "not_started", "text": f"{setting}: {error}"}
        record = PhaseRecord(Status.failed.value, reason)
    else:
        record = _outcome(record_path, log, attempt / MEMORY_TIMELINE, ended, launch.timeout_s)
    write_json(record_path, vars(record))
    return record


def _outcome(
    record_path: Path, log: Path, timeline: Path, ended: process.Ended, timeout_s: float | None
) -> PhaseRecord:
    """The child's own record if it wrote one; otherwise the status that its exit code shows."""
    if record_path.is_file() and not ended.by:
        record = read_phase(record_path)
    else:
        status, code, text = _death(ended, timeout_s, timeline, record_path.stem)
        reason = {"code": code, "text": text}
        if status is not Status.cancelled:
            reason["log"] = "\n".join(log.read_text("utf-8", "replace").splitlines()[-LOG_TAIL_LINES:])
        record = PhaseRecord(status.value, reason)
    record.timings["process_s"] = ended.seconds
    return record


def _death(ended: process.Ended, timeout_s: float | None, timeline: Path, phase: str) -> tuple[Status, str, str]:
    if ended.by == "timeout":
        return Status.timeout, "timeout", f"still running after launch.timeout_s={timeout_s:g} s, so it was stopped"
    if ended.by == "cancel":
        return Status.cancelled, "interrupted", "by Ctrl-C or SIGTERM"
    if ended.code >= 0:
        return Status.failed, "exit", f"the process ended with exit code {ended.code} and no result"
    name = signal.Signals(-ended.code).name
    if ended.code == -signal.SIGKILL and ended.oom_kills > 0:
        return Status.oom, "os_oom_kill", explain_kill(timeline, phase, ended.limit_bytes)
    if -ended.code in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE):
        return Status.failed, "crash", f"the process crashed with {name}"
    return Status.killed, "signal", f"the process was killed by {name} from outside"
