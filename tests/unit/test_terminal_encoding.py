"""A terminal that cannot show every character: what it lacks is replaced, and no command ends with a traceback.

Run: python -m pytest tests/unit/test_terminal_encoding.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ohlora.running.process import child_env

SHOW = """
import sys
from ohlora.entry import replace_unprintable
replace_unprintable()
print("가 — 1−2 ▁ é")
print("나 – ©", file=sys.stderr)
"""
BARS = """
import sys
from ohlora.entry import replace_unprintable
replace_unprintable()
sys.stderr.isatty = lambda: True
from ohlora.running.progress import show_progress
with show_progress("선택 — hf") as show:
    show.event({"event": "process", "phase": "train"})
    show.event({"event": "stage", "name": "훈련 — ▁", "total": 2, "unit": "step"})
    show.event({"event": "progress", "done": 2, "loss": 1.0})
    show.event({"event": "end", "phase": "train", "status": "failed", "reason": {"text": "너무 큼 — 😀"}})
"""


def run(*command: str, encoding: str, cwd: Path) -> tuple[int, str, str]:
    env = {**os.environ, "PYTHONIOENCODING": encoding, "TERM": "xterm", "COLUMNS": "100"}
    done = subprocess.run([sys.executable, *command], env=env, cwd=cwd, capture_output=True, check=False)
    return done.returncode, done.stdout.decode(encoding), done.stderr.decode(encoding)


@pytest.mark.parametrize(
    ("encoding", "shown", "complained"),
    [
        ("cp949", "가 - 1-2 ? ?", "나 - (c)"),
        ("ascii", "? - 1-2 ? ?", "? - (c)"),
        ("latin-1", "? - 1-2 ? é", "? - ©"),
        ("utf-8", "가 — 1−2 ▁ é", "나 – ©"),
    ],
)
def test_what_an_encoding_lacks_is_replaced(tmp_path: Path, encoding: str, shown: str, complained: str) -> None:
    code, out, err = run("-c", SHOW, encoding=encoding, cwd=tmp_path)
    assert (code, out.strip(), err.strip()) == (0, shown, complained)


@pytest.mark.parametrize("encoding", ["cp949", "ascii"])
def test_progress_bars_are_drawn_with_what_there_is(tmp_path: Path, encoding: str) -> None:
    code, _, err = run("-c", BARS, encoding=encoding, cwd=tmp_path)
    assert code == 0 and "Traceback" not in err and "- hf" in err and "failed (" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ohlora.run", "task=licenses"], "| model | tag |"),
        (["ohlora.run", "model=가—"], "model=가-: choose from"),
        (["ohlora.run", "--help"], ""),
        (["ohlora.report", "없음—"], "error: 없음-"),
        (["ohlora.worker", "없음—"], "없음-"),
        (["ohlora.tracking.ui", "--uri", "sqlite:///없음—.db"], "없음-"),
    ],
)
def test_every_entry_replaces(tmp_path: Path, arguments: list[str], said: str) -> None:
    code, out, err = run("-m", *arguments, encoding="cp949", cwd=tmp_path)
    assert code in (0, 2) and "Traceback" not in err and said in out + err


def test_a_childs_log_is_utf8_whatever_the_terminal_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "cp949")
    assert child_env({})["PYTHONIOENCODING"] == "utf-8"
