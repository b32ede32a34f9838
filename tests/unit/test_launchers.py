"""Hydra's launchers: jobs that run in processes elsewhere leave the same files, report and exit code.

Run: python -m pytest tests/unit/test_launchers.py
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from conftest import Ran, run_cli
from toy_backend import STUB

LAUNCHERS = Path(__file__).parents[1] / "launchers"


def sweep(cwd: Path, *overrides: str, kill: str = "") -> tuple[Ran, list[dict]]:
    """What a sweep over two ranks printed with the launcher of `tests/launchers`, and its results in their order.

    `kill`: the number of the job whose process is killed.
    """
    path = os.pathsep.join(filter(None, [str(LAUNCHERS), os.environ.get("PYTHONPATH", "")]))
    asked = ["-m", "hydra/launcher=spawned", "lora.rank=4,2", "study=s", "tracking=none", *overrides]
    ran = run_cli(*asked, cwd=cwd, env={"PYTHONPATH": path, "KILL_JOB": kill}, cold=True)
    found = [json.loads(path.read_text()) for path in (cwd / "outputs" / "s").glob("*/result.json")]
    return ran, sorted(found, key=lambda result: result["order"])


def test_jobs_run_in_processes_elsewhere(tmp_path: Path) -> None:
    ran, results = sweep(tmp_path, "preflight=off", STUB)
    assert ran.code == 0, ran.err
    assert [(r["arm"], r["status"], r["requested"]["lora"]["rank"]) for r in results] == [
        ("lora.rank=4", "finished", 4), ("lora.rank=2", "finished", 2),
    ]  # fmt: skip
    assert len(set(re.findall(r"job \d in process (\d+)", ran.err))) == 2
    assert "| lora.rank=4 |" in ran.out and "| lora.rank=2 |" in ran.out
    assert (tmp_path / "outputs" / "s" / "comparison.html").is_file()


@pytest.mark.parametrize(
    ("overrides", "code", "status"),
    [
        (["preflight=off", "launch.prefix=['false']"], 1, "failed"),
        (["device_memory_gib=1"], 2, "skipped"),
    ],
)
def test_how_they_end_is_read_in_their_files(tmp_path: Path, overrides: list[str], code: int, status: str) -> None:
    ran, results = sweep(tmp_path, *overrides)
    assert ran.code == code and "Traceback" not in ran.err, ran.err
    assert [result["status"] for result in results] == [status] * 2


def test_a_launcher_that_fails_is_no_bad_input(tmp_path: Path) -> None:
    ran, results = sweep(tmp_path, "device_memory_gib=1", kill="1")
    assert ran.code == 1 and [result["status"] for result in results] == ["skipped"]


def test_a_launcher_that_fails_leaves_a_report(tmp_path: Path) -> None:
    """Its second process is killed, as by the system when memory is short."""
    ran, results = sweep(tmp_path, "preflight=off", STUB, kill="1")
    assert ran.code == 1 and "Traceback" not in ran.err, ran.err
    assert "error: hydra/launcher: CalledProcessError: " in ran.err and "SIGKILL" in ran.err
    assert [(result["arm"], result["status"]) for result in results] == [("lora.rank=4", "finished")]
    assert "lora.rank=2 (0/1" in ran.out and (tmp_path / "outputs" / "s" / "comparison.html").is_file()
