"""The launcher against real children that crash, hang, get killed, run out of memory, or lose their parent."""

from __future__ import annotations

import json
import os
import signal
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import started

from ohlora.backends import shared_env
from ohlora.records.result import PhaseRecord, Result, Status
from ohlora.running import phases, process

EVENTS = """
import json, os
pipe = os.fdopen(int(os.environ["OHLORA_EVENT_FD"]), "w", buffering=1)
for n in (1, 2):
    print(json.dumps({"event": "progress", "done": n}), file=pipe)
"""


def run(code: str, tmp_path: Path, timeout_s: float | None = 30) -> tuple[process.Ended, list[dict], str]:
    events: list[dict] = []
    log = tmp_path / "child.log"
    command = [sys.executable, "-c", textwrap.dedent(code)]
    ended = process.run(command, log, process.child_env({}), timeout_s, events.append)
    return ended, events, log.read_text()


def outcome(ended: process.Ended, tmp_path: Path, timeout_s: float | None = 30) -> PhaseRecord:
    return phases._outcome(tmp_path / "none.json", tmp_path / "child.log", tmp_path / "memory.jsonl", ended, timeout_s)


def test_events_arrive_and_output_goes_to_the_log(tmp_path: Path) -> None:
    ended, events, log = run(EVENTS + "print('said')", tmp_path)
    assert (ended.code, ended.by) == (0, "")
    assert [event["done"] for event in events] == [1, 2]
    assert log.strip() == "said"


def test_a_crash_without_a_result_is_failed_with_the_end_of_its_log(tmp_path: Path) -> None:
    ended, _, _ = run("raise SystemExit('no such luck')", tmp_path)
    record = outcome(ended, tmp_path)
    assert (record.status, record.reason["code"]) == ("failed", "exit")
    assert "no such luck" in record.reason["log"]


@pytest.mark.parametrize(
    ("number", "status", "code"), [(signal.SIGSEGV, "failed", "crash"), (signal.SIGKILL, "killed", "signal")]
)
def test_death_by_signal(tmp_path: Path, number: signal.Signals, status: str, code: str) -> None:
    ended, _, _ = run(f"import os; os.kill(os.getpid(), {int(number)})", tmp_path)
    record = outcome(ended, tmp_path)
    assert (record.status, record.reason["code"]) == (status, code)
    assert number.name in record.reason["text"]


def test_an_oom_kill_is_told_apart_from_a_kill(tmp_path: Path) -> None:
    (tmp_path / "child.log").touch()
    record = outcome(process.Ended(-signal.SIGKILL, "", 1.0, oom_kills=1), tmp_path)
    assert record.status == Status.oom.value


def test_a_hanging_child_times_out_with_everything_it_started(tmp_path: Path) -> None:
    code = """
    import os, subprocess, sys, time
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    open(%r, "w").write(f"{os.getpid()} {other.pid}")
    time.sleep(60)
    """
    pids = tmp_path / "pids"
    started = time.monotonic()
    ended, _, _ = run(code % str(pids), tmp_path, timeout_s=3)  # enough to start in, beside other tests
    assert time.monotonic() - started < 15
    record = outcome(ended, tmp_path, 3)
    assert record.status == "timeout" and "launch.timeout_s=3" in record.reason["text"]
    wait_for(lambda: all(gone(int(pid)) for pid in pids.read_text().split()))


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE_S", 0.5)
    ended, _, _ = run("import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)", tmp_path, 3)
    assert ended.by == "timeout" and ended.code == -signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_children_do_not_outlive_their_parent(tmp_path: Path, number: signal.Signals) -> None:
    """A real parent with a real worker-like child and grandchild, ended in three ways."""
    child = f"""
    import os, subprocess, sys, time
    from ohlora.worker import die_with_parent
    die_with_parent(int(os.environ["OHLORA_LIFE_FD"]))
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    open({str(tmp_path / "pids")!r}, "w").write(f"{{os.getpid()}} {{other.pid}}")
    time.sleep(60)
    """
    parent = f"""
    import sys
    from pathlib import Path
    from ohlora.running import process
    keep = [open("/dev/null") for _ in range(20)]  # descriptors of two digits
    with process.sigterm_as_interrupt():
        ended = process.run([sys.executable, "-c", {textwrap.dedent(child)!r}], Path({str(tmp_path / "log")!r}),
                            process.child_env({{}}), None, print)
    print(ended.by)
    """
    with started(sys.executable, "-c", textwrap.dedent(parent), cwd=tmp_path) as process_:
        wait_for(lambda: (tmp_path / "pids").exists() and len((tmp_path / "pids").read_text().split()) == 2)
        pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
        process_.send_signal(number)
        out, _ = process_.communicate(timeout=20)
    wait_for(lambda: all(gone(pid) for pid in pids))
    assert out.strip() == ("" if number is signal.SIGKILL else "cancel")


def test_the_environment_of_all_arms_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNSLOTH_RETURN_LOGITS", "1")
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "x")
    launched = {"LOCAL_RANK": "0", "RANK": "3", "WORLD_SIZE": "4", "PMI_SIZE": "4", "OMPI_COMM_WORLD_SIZE": "4"}
    for name, value in launched.items():
        monkeypatch.setenv(name, value)
    env = process.child_env({**shared_env(Path("compiled")), "HF_HUB_OFFLINE": "1"})
    assert "UNSLOTH_RETURN_LOGITS" not in env and "PYTORCH_CUDA_ALLOC_CONF" not in env
    assert not launched.keys() & env.keys()  # accelerate would wait for the others of a launcher
    assert (
        env["UNSLOTH_DISABLE_STATISTICS"] == "1" and env["HF_HUB_OFFLINE"] == "1" and env["PATH"] == os.environ["PATH"]
    )


def test_a_prefix_that_does_not_exist_is_said(tmp_path: Path) -> None:
    from dataclasses import replace

    from ohlora.config.compose import compose_config
    from ohlora.config.tasks import INFER
    from ohlora.planning.validate import validate

    config = validate(compose_config([]))
    config = replace(config, launch=replace(config.launch, prefix=["no-such-program"]))
    (tmp_path / "phases").mkdir()
    record = phases._run_phase(config.launch, config.device, config.backend.name, tmp_path, INFER, lambda event: None)
    assert record.status == "failed" and "no-such-program" in record.reason["text"]
    assert json.loads((tmp_path / "phases" / "infer.json").read_text())["status"] == "failed"


def test_a_phase_in_this_process_uses_the_configured_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ohlora.config.schema import LaunchConfig
    from ohlora.config.tasks import INFER
    from ohlora.files import write_json

    calls: list[str] = []

    def run_phase(attempt: Path, phase: str, emit: Any) -> None:
        calls.append(phase)
        write_json(attempt / "phases" / f"{phase}.json", vars(PhaseRecord("finished")))

    monkeypatch.setattr(phases, "narrow_process", calls.append)
    monkeypatch.setattr(phases, "run_phase", run_phase)
    result = Result("id", "failed", "infer", "backend=hf")
    phases.run_phases(LaunchConfig(isolate=False), "cuda:1", "hf", tmp_path, (INFER,), result, lambda event: None)
    assert calls == ["cuda:1", "infer"] and result.status == "finished"  # there is no config.yaml to read it in


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_for(true, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)
