"""launch.warm=true: phases forked from a process that has imported their libraries.

Run: python -m pytest tests/integration/test_warm.py
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import PREFIX, Ran, run_cli, started

from ohlora.files import read_jsonl
from ohlora.running.warm import close_servers

QUICK = [
    "task=train", "trainer=smoke", "tracking=none", "model=local", "model.accept_license=true", "model.dtype=float32",
    "launch.threads=1",
]  # fmt: skip


def results(folder: Path) -> dict[int, dict[str, Any]]:
    """Rank -> result."""
    found = [json.loads(path.read_text()) for path in folder.glob("*/result.json")]
    return {run["effective"]["train"]["lora_rank"]: run for run in found if run["status"] == "finished"}


@pytest.mark.parametrize("backend", ["hf", "unsloth"])
def test_a_warm_sweep_trains_what_a_cold_one_does(
    tiny_model: Callable[[str], Path], tmp_path: Path, backend: str
) -> None:
    model = [f"model.path={tiny_model('llama')}", f"backend={backend}"]
    cold = run_cli(*QUICK, *model, "lora.rank=4", "study=cold", cwd=tmp_path, cold=True)
    warm = run_cli("-m", *QUICK, *model, "lora.rank=4,8", "launch.warm=true", "study=warm", cwd=tmp_path, cold=True)
    assert cold.code == 0, cold.err
    assert warm.code == 0, warm.err
    before, after = results(tmp_path / "outputs/cold"), results(tmp_path / "outputs/warm")
    assert set(after) == {4, 8} and before[4]["hashes"] == after[4]["hashes"]
    assert before[4]["parity"] == after[4]["parity"]
    for run in after.values():
        assert run["effective"]["start"] == "warm"
        assert run["metrics"]["load/import_s"] < before[4]["metrics"]["load/import_s"] / 2
        assert 0 < run["metrics"]["train/peak_rss_mib"] < 1.3 * before[4]["metrics"]["train/peak_rss_mib"]
    assert "start" not in before[4]["effective"]
    assert not [p for p in psutil.process_iter(["cmdline"]) if is_server(p, tmp_path)]  # it ended with the sweep


def is_server(process: psutil.Process, folder: Path) -> bool:
    try:
        return "ohlora.running.warm" in " ".join(process.cmdline()) and process.cwd() == str(folder)
    except psutil.Error:
        return False


def test_a_killed_warm_phase_is_a_killed_run(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    """The phase and not its server: the next run is warm again."""
    endless = ["trainer.max_steps=100000", "trainer.epochs=100000"]
    arguments = ["-m", *QUICK, f"model.path={tiny_model('llama')}", "lora.rank=4,8", "launch.warm=true", "study=warm"]
    with started(sys.executable, "-m", "ohlora.run", *arguments, *endless, cwd=tmp_path) as process:
        for count in (1, 2):
            ended = 0
            while not ended:
                assert process.poll() is None
                time.sleep(0.2)
                running = [
                    one for one in psutil.Process(process.pid).children(recursive=True) if is_server(one, tmp_path)
                ]
                workers = [w for server in running for w in server.children() if trains(tmp_path, count)]
                for worker in workers[:1]:
                    os.kill(worker.pid, signal.SIGKILL)
                    ended = worker.pid
        process.wait(60)
    found = [json.loads(path.read_text()) for path in (tmp_path / "outputs/warm").glob("*/result.json")]
    assert [(run["status"], run["reason"]["code"]) for run in found] == [("killed", "signal")] * 2


def trains(folder: Path, count: int) -> bool:
    """Have this many runs begun their steps?"""
    files = [path for path in folder.glob("outputs/warm/*/attempt-1/metrics.jsonl") if path.stat().st_size]
    return len(files) == count and all(read_jsonl(path) for path in files)


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["task=benchmark"], "task=benchmark is for comparing"),
        (["task=train", "compare.arms=[lora=r16,lora=r64]"], "compare.arms is for comparing"),
        (["task=train", "launch.isolate=false"], "cannot be combined with launch.isolate=false"),
        (["task=train", "launch.prefix=[nice]"], "cannot be combined with launch.prefix"),
    ],
)
def test_what_warm_does_not_go_with(ohlora: Callable[..., Ran], overrides: list[str], named: str) -> None:
    ran = ohlora(*overrides, "launch.warm=true")
    assert ran.code == 2 and named in ran.err and "Traceback" not in ran.err


def test_a_server_that_cannot_start_is_one_message(
    ohlora: Callable[..., Ran], tiny_model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = f"model.path={tiny_model('llama')}"
    assert ohlora(*QUICK, model, PREFIX).code == 0  # its rows are tokenised
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "torch.py").write_text("raise ImportError('no torch here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    ran = ohlora(*QUICK, model, "launch.warm=true", "study=warm")
    close_servers()
    (result,) = [json.loads(path.read_text()) for path in tmp_path.glob("outputs/warm/*/result.json")]
    assert ran.code == 1 and result["reason"]["code"] == "not_started"
    assert result["reason"]["text"].startswith("launch.warm=true: ") and "no torch here" in result["reason"]["text"]
