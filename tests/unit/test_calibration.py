"""The calibration study's resampling, on runs that are made up; and what its injections do to a process."""

from __future__ import annotations

import importlib
import random
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def calibration(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("calibration")


def make_runs(count: int, spread: float, disturbed: frozenset[int] = frozenset()) -> list[dict[str, float]]:
    chance = random.Random(1)
    runs = []
    for number in range(count):
        seconds = 10 * chance.lognormvariate(0, spread) + (20.0 if number in disturbed else 0.0)
        memory = 2000 + chance.gauss(0, 2)
        runs.append(
            {"train/train_time_s": seconds, "train/peak_rss_mib": memory, "disturbed": float(number in disturbed)}
        )
    return runs


def test_a_difference_is_found_and_a_disturbed_pair_is_not_part_of_it(calibration: ModuleType) -> None:
    a, b = make_runs(4, 0.01), [{**run, "train/train_time_s": 11.0} for run in make_runs(4, 0.01)]
    pairs = [(x, y) if number % 2 == 0 else (y, x) for number, (x, y) in enumerate(zip(a, b, strict=True))]
    assert calibration.verdicts(pairs, 0)["train/train_time_s"] == "slower"
    spoilt = [({**x, "disturbed": 1.0}, y) for x, y in pairs[:1]] + pairs[1:]
    assert calibration.verdicts(spoilt, 0)["train/train_time_s"] == "no_verdict"
    assert calibration.verdicts(spoilt, 0, judge=False)["train/train_time_s"] == "slower"


def test_the_tables_of_recorded_runs(calibration: ModuleType, tmp_path: Path) -> None:
    runs = make_runs(60, 0.02, frozenset({7}))
    lines = calibration.tables(runs, 20)
    assert lines[0].endswith("called disturbed: 1 (1.7 %)")
    rows = [line.split("|") for line in lines if line.startswith("| 4 |")]
    assert len(rows) == 2 and "of 20" in rows[0][4] and rows[1][3].strip().endswith("%")
    text = "run_id,status,order,disturbed,train/train_time_s\nb,finished,1,train longest_pause_s=3.0,2.5\n"
    (tmp_path / "comparison.csv").write_text(text + "a,finished,0,,2\nc,failed,2,,\n")
    assert calibration.read_runs(tmp_path / "comparison.csv") == [
        {"train/train_time_s": 2.0, "disturbed": 0.0}, {"train/train_time_s": 2.5, "disturbed": 1.0},
    ]  # fmt: skip


INJECTED = """
import os, sys, time
sys.path.insert(0, {benchmarks!r})
import inject
from ohlora.measure.memory import PhaseMemory
from ohlora.training.steps import StepTimer
inject.PAUSE_S = 1
inject.inject({what!r})
class Timer(StepTimer):
    def __init__(self): self.seconds = []; self.clock = type("Clock", (), {{"now": staticmethod(time.monotonic)}})
memory = PhaseMemory("cpu")
with memory.phase("train"):
    Timer().begin()
    until = time.monotonic() + 2.5
    while time.monotonic() < until: pass
record = memory.disturbance.records()["train"]
print(record["longest_pause_s"], record["others_cpu_share"] * record["processors"])
"""


@pytest.mark.parametrize("what", ["pause", "load"])
def test_what_is_injected_is_recorded(what: str) -> None:
    code = INJECTED.format(benchmarks=str(BENCHMARKS), what=what)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    pause, others = map(float, done.stdout.split())
    if what == "pause":
        assert 0.8 < pause < 1.5
    else:
        assert others > 0.4
        time.sleep(0.2)
        listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        assert "sum(range(200_000))" not in listed, "it ends with the process that it disturbs"


def test_the_whole_study_from_recorded_folders(
    calibration: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command's own tables, with runs that are made up in place of those that it would start."""
    from ohlora.records.result import Result
    from ohlora.report.comparison.write import write_comparison

    calibrate = importlib.import_module("calibrate")
    asked: list[list[str]] = []

    def start(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        asked.append(command)
        folder = Path(
            next(part for part in command if part.startswith("hydra.run.dir=")).removeprefix("hydra.run.dir=")
        )
        for number, values in enumerate(make_runs(8, 0.01)):
            pair, turn = divmod(number, 2)
            arm = ("as-it-is", folder.name)[turn if pair % 2 == 0 else 1 - turn]
            result = Result(f"{arm}-r{pair}-0", "finished", "train", arm, pair, number)
            result.metrics = {key: value for key, value in values.items() if "/" in key}
            result.timings = {"started": 10.0 * number, "ended": 10.0 * number + 5}
            if folder.name == "pause" and arm == "pause":
                result.disturbance = {"train": {"longest_pause_s": 3.0}}
            (folder / result.run_id).mkdir(parents=True)
            result.write(folder / result.run_id)
        write_comparison(folder)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(calibrate, "subprocess", SimpleNamespace(run=start, DEVNULL=subprocess.DEVNULL))
    monkeypatch.setattr(calibrate, "LEAST", 8)
    monkeypatch.setattr(calibrate, "tables", lambda runs: [f"{len(runs)} runs"])
    monkeypatch.setattr(sys, "argv", ["calibrate.py", str(tmp_path), "--pairs", "4", "models=elsewhere"])
    calibrate.main()
    printed = capsys.readouterr().out
    assert "8 runs" in printed and (tmp_path / "calibration.md").read_text() == printed
    (pause,) = [line for line in printed.splitlines() if line.startswith("| pause |")]
    assert pause.startswith("| pause | 4 of 4 | 0 of 4 | longest_pause_s | – | ")
    assert len(asked) == 4 and all("models=elsewhere" in command for command in asked)
    assert any("inject.py,load]" in part for part in asked[-1])
