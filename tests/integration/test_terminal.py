"""A licence is asked for at a real terminal, and refused in one line where nobody can be asked."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import PREFIX, run_cli

from ohlora.models.acceptance import REMEMBERED

# Ends after the licence with one line, since no such package is installed.
ARGUMENTS = ["task=prepare", "model.package=no_such_package"]


def answered(answer: str, cwd: Path) -> tuple[int, str]:
    """(exit code, what the terminal showed) of the command with this typed when it asks."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "ohlora.run", *ARGUMENTS, PREFIX]
    with subprocess.Popen(command, cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True) as process:
        os.close(theirs)
        shown, until = "", time.monotonic() + 120
        while time.monotonic() < until:
            try:
                shown += os.read(ours, 4096).decode("utf-8", "replace")
            except OSError:  # the other end is closed: the command has ended
                break
            if shown.rstrip().endswith("[y/N]"):
                os.write(ours, answer.encode())
    os.close(ours)
    return process.returncode, shown


@pytest.mark.parametrize(("answer", "takes"), [("y\n", True), ("\n", False)])
def test_it_asks_at_a_terminal(tmp_path: Path, answer: str, takes: bool) -> None:
    code, shown = answered(answer, tmp_path)
    assert "Section 3.2" in shown and "Accept the Gemma Terms of Use? [y/N]" in shown
    assert code == 2 and "Traceback" not in shown
    assert ("model.package=no_such_package:" in shown, "not accepted here" in shown) == (takes, not takes)
    if takes:
        record = json.loads((tmp_path / "models" / REMEMBERED).read_text())["gemma"]
        assert record["how"] == "at a terminal" and record["accepted"].startswith("20")
    else:
        assert not (tmp_path / "models").exists()


def test_nobody_to_ask(tmp_path: Path) -> None:
    ran = run_cli(*ARGUMENTS, cwd=tmp_path, accepting=False)
    assert ran.code == 2 and ran.err.count("error: ") == 1
    assert ran.err.rstrip().splitlines()[-1].endswith("(with make: ACCEPT_LICENSE=gemma)")
    assert not list(tmp_path.iterdir())
