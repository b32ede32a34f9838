"""Native Windows gets one plain message before anything that exists only on Unix is used.

Run: python -m pytest tests/unit/test_windows.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# As on Windows: another platform name, no Unix-only modules, no Unix-only functions and signals.
PRETEND_WINDOWS = """
import filelock  # works on Windows by itself, with modules that are missing here
import os, runpy, signal, sys
sys.platform = "win32"
for name in ("fcntl", "grp", "pty", "pwd", "resource", "termios"):
    sys.modules[name] = None
for name in ("fork", "killpg", "setsid", "statvfs", "sysconf"):
    delattr(os, name)
for name in ("SIGHUP", "SIGKILL", "SIGSTOP"):
    delattr(signal, name)
module, *sys.argv[1:] = sys.argv[1:]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(
    "command",
    [
        ["ohlora.run", "backend=hf"],
        ["ohlora.run", "-m", "experiment=smoke"],
        ["ohlora.worker", "somewhere"],
        ["ohlora.tracking.ui"],
    ],
    ids=" ".join,
)
def test_windows_is_refused_with_one_line(tmp_path: Path, command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRETEND_WINDOWS, *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("error: Windows: run this inside WSL2 (wsl --install); ")
    assert done.stderr.count("\n") == 1
    assert not any(tmp_path.iterdir())
