"""A child that was forked, not started, is one to its parent all the same: events, exit code, signals, its end."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import forked
import psutil
import pytest
from conftest import FORKED
from forked import IMPORT_ENV

from ohlora.running import process

BEGIN = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
os.write(int(os.environ["OHLORA_EVENT_FD"]), json.dumps({"pid": os.getpid(), "group": os.getpgid(0)}).encode() + b"\\n")
print("said by", sys.argv[1])
"""


def run(code: str, folder: Path, timeout_s: float = 30) -> tuple[process.Ended, list[dict], str]:
    script, events = folder / "script.py", []
    script.write_text(BEGIN + code)
    command = [*FORKED, sys.executable, str(script), "argument"]
    ended = process.run(command, folder / "log", process.child_env({"MARK": "here"}), timeout_s, events.append)
    return ended, events, (folder / "log").read_text()


def test_what_all_children_are_given_starts_none_of_them_cold() -> None:
    env = process.child_env({})
    assert {name: env.get(name) for name in IMPORT_ENV} == {name: os.environ.get(name) for name in IMPORT_ENV}


def test_beside_a_gpu_only_the_command_itself_is_forked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others' libraries use the GPU when they are imported, and CUDA does not work in a fork of such a process."""
    (tmp_path / "config.yaml").write_text("backend:\n  name: hf\n")
    child = [sys.executable, "-m", "ohlora.worker", str(tmp_path), "--phase"]
    monkeypatch.setattr(forked, "DRIVERS", (str(tmp_path / "driver"),))
    assert [forked.kind_of([*child, phase]) for phase in ("train", "tokenize")] == ["hf", "hf"]
    (tmp_path / "driver").touch()
    assert [forked.kind_of([*child, phase]) for phase in ("train", "tokenize")] == [None, None]
    assert forked.kind_of([sys.executable, "-m", "ohlora.run"]) == "parent"


def test_only_a_script_or_a_module_is_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forked, "DRIVERS", ())
    assert forked.kind_of([sys.executable, "script.py"]) == "bare"
    monkeypatch.setenv(forked.KIND, "hf")
    assert forked.kind_of([sys.executable, "script.py"]) == "hf"
    assert forked.kind_of([sys.executable, "-c", "pass"]) is None


def test_events_output_arguments_and_environment(tmp_path: Path) -> None:
    ended, (event,), log = run("print(os.environ['MARK'], Path.cwd(), 'torch' in sys.modules)", tmp_path)
    assert (ended.code, ended.by) == (0, "") and event["pid"] == event["group"]
    assert log == f"said by argument\nhere {tmp_path} False\n"


@pytest.mark.parametrize(
    ("code", "ends"),
    [
        ("sys.exit(3)", 3),
        ("raise SystemExit('no such luck')", 1),
        ("1 / 0", 1),
        ("os.kill(os.getpid(), signal.SIGSEGV)", -signal.SIGSEGV),
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    ],
)
def test_how_it_ends(tmp_path: Path, code: str, ends: int) -> None:
    ended, _, log = run(code, tmp_path)
    assert (ended.code, ended.by) == (ends, "")
    assert ("no such luck" in log, "ZeroDivisionError" in log) == ("luck" in code, "/" in code)


@pytest.mark.parametrize("ignored", [False, True])
def test_a_time_out_ends_it_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ignored: bool
) -> None:
    monkeypatch.setattr(process, "GRACE_S", 0.5)
    code = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" if ignored else ""
    code += "other = subprocess.Popen(['sleep', '60']); Path('other').write_text(str(other.pid)); time.sleep(60)"
    ended, (event,), _ = run(code, tmp_path, timeout_s=3)  # enough to start in, beside other tests
    assert (ended.code, ended.by) == (-(signal.SIGKILL if ignored else signal.SIGTERM), "timeout")
    until = time.monotonic() + 10
    while any(psutil.pid_exists(pid) for pid in (event["pid"], int(Path("other").read_text()))):
        assert time.monotonic() < until
        time.sleep(0.05)
