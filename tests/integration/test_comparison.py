"""A comparison as a user makes it: stopped in the middle, called again, reported, tracked."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import PREFIX, Ran, run_cli, started

ARGUMENTS = [
    "experiment=unsloth_comparison", "compare.recommended=[]", "compare.pairs=2", "task=train", "report.lang=ko",
    "trainer.train_rows=4", "trainer.eval_rows=2", "trainer.samples=0", "lora=r16", "compare.redo=0", PREFIX,
]  # fmt: skip


@pytest.fixture(scope="module")
def resumed(
    tiny_model: Callable[[str], Path], made_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Ran, Ran]:
    """(working directory, the call that Ctrl-C stopped in its second run, the call that went on)."""
    cwd = tmp_path_factory.mktemp("resumed")
    shutil.copy(made_store, cwd)
    arguments = [*ARGUMENTS, f"model.path={tiny_model('gemma3')}"]
    with started(sys.executable, "-m", "ohlora.run", *arguments, cwd=cwd) as process:
        until = time.monotonic() + 180
        while not any("loading" in path.read_text() for path in cwd.glob("outputs/*/unsloth-r0-*/*/events.jsonl")):
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    return cwd, Ran(process.returncode, out, err), run_cli(*arguments, cwd=cwd)


def test_what_ctrl_c_leaves(resumed: tuple[Path, Ran, Ran]) -> None:
    _, stopped, _ = resumed
    assert stopped.code == 130 and "Traceback" not in stopped.err, stopped.err
    assert "run the same command again to continue" in stopped.err
    assert "[1/4]" in stopped.err and "| **with** Unsloth (0/2, 취소됨: by Ctrl-C" in stopped.out


def test_it_goes_on_with_whole_pairs_in_turns(resumed: tuple[Path, Ran, Ran]) -> None:
    cwd, _, ran = resumed
    assert ran.code == 0, ran.err
    folder = cwd / "outputs" / "unsloth_comparison"
    runs = [json.loads(path.read_text()) for path in folder.glob("*/result.json")]
    runs.sort(key=lambda run: run["timings"]["started"])
    assert [(run["arm"], run["repeat"]) for run in runs] == [
        ("backend=hf", 0), ("backend=unsloth", 0), ("backend=unsloth", 1), ("backend=hf", 1),
    ]  # fmt: skip
    assert all((folder / run["run_id"] / "attempt-2").is_dir() == (run["repeat"] == 0) for run in runs)
    assert {run["track"] for run in runs} == {"equal"}


def test_the_report(resumed: tuple[Path, Ran, Ran]) -> None:
    cwd, _, ran = resumed
    folder = cwd / "outputs" / "unsloth_comparison"
    assert "쌍 2개; 판정 없음 (판정에는 4쌍이 필요)" in ran.out
    (track,) = json.loads((folder / "comparison.json").read_text())["tracks"]
    (one,) = track["contrasts"]
    assert one["pairs"] == 2 and one["interleaved"] and one["comparable"]
    assert {check["state"] for check in one["parity"]} <= {"equal", "unknown"}
    assert {setting["key"] for setting in one["settings"]} >= {"backend", "train.route", "train.patches"}
    text = (folder / "comparison.md").read_text()
    assert text.startswith("| 테스트 |") and "](equal-memory.svg)" in text
    for name in ("equal-loss.svg", "equal-memory.svg", "equal-ratios.svg"):
        assert (folder / name).read_text().count("<svg") == 1
    assert (folder / "comparison.html").read_text().count("<svg") == 3


def test_mlflow_has_one_comparison(resumed: tuple[Path, Ran, Ran]) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{resumed[0] / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("ohlora").experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert parent.info.status == "FINISHED" and parent.data.tags["parity"] == "no check is broken"
    assert parent.data.tags["verdict.equal.train.train_time_s"].startswith("no_verdict ")
    assert sorted(run.info.status for run in runs) == ["FINISHED"] * 6 + ["KILLED"]
    assert "comparison.html" in {item.path for item in client.list_artifacts(parent.info.run_id)}
