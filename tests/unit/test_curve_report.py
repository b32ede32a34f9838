"""The learning curve's report, from result files alone: the verdict, its interval, what is missing, both languages.

Run: python -m pytest tests/unit/test_curve_report.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import mean, stdev

import pytest

from ohlora.records.manifest import CURVE, Manifest, PlannedRun
from ohlora.records.result import Result
from ohlora.report.curve.curve import read_curve
from ohlora.report.curve.write import describe_verdict, write_curve

T3 = 3.182446  # the 0.975 quantile of Student's t with 3 degrees of freedom, from a printed table
ROWS = {0.25: 100, 0.5: 200, 1.0: 400}


def write_runs(folder: Path, losses: dict[float, list[float]], keep: str = "best", planned: int | None = None) -> None:
    jobs = []
    for share, values in losses.items():
        for seed in range(planned or len(values)):
            arm, name = f"trainer.train_share={share:g}", f"run-{share}-{seed}"
            jobs.append(
                PlannedRun([f"repeat={seed}"], arm, seed, name, asked={"trainer.train_share": share, "seed": seed})
            )
            if seed < len(values):
                run = Result(name, "finished", "train", arm, seed, model={"label": "tiny"})
                run.requested = {
                    "trainer": {"train_share": share, "keep": keep},
                    "seed": seed,
                    "task": {"name": "train"},
                }
                run.metrics = {"eval/eval_loss": values[seed], "train/train_rows": ROWS[share], "train/best_step": 7}
                (folder / name).mkdir(parents=True)
                run.write(folder / name)
    Manifest(CURVE, jobs, ["task=curve"]).write(folder)


HELPED = {0.25: [3.9, 4.0, 4.1, 4.0], 0.5: [3.60, 3.72, 3.79, 3.71], 1.0: [3.50, 3.60, 3.70, 3.62]}
NOT = {0.25: [3.9, 4.0, 4.1, 4.0], 0.5: [3.60, 3.72, 3.79, 3.71], 1.0: [3.70, 3.60, 3.70, 3.78]}


def test_more_rows_would_help(tmp_path: Path) -> None:
    write_runs(tmp_path, HELPED)
    code, text = write_curve(tmp_path)
    saved = [before - after for before, after in zip(HELPED[0.5], HELPED[1.0], strict=True)]
    reach = T3 * stdev(saved) / 2
    found = re.search(r"400 rows instead of 200 lowered the eval loss by (\S+) nats/token \((\S+) to (\S+)\)", text)
    assert code == 0 and "**More rows would help.**" in text and "(2×)" in text and found
    assert [float(part) for part in found.groups()] == pytest.approx(
        [mean(saved), mean(saved) - reach, mean(saved) + reach], abs=6e-4
    )
    assert "| 400 | 1 | 3.605 |" in text
    written = json.loads((tmp_path / "curve.json").read_text())
    assert written["verdict"] == "more" and [point["rows"] for point in written["points"]] == [100, 200, 400]
    assert [gain["mean"] for gain in written["gains"]] == pytest.approx([0.295, 0.1])
    assert (tmp_path / "curve.csv").read_text().count("\n") == 13
    page = (tmp_path / "curve.html").read_text()
    assert "<svg" in page and "More rows would help" in page and (tmp_path / "curve.svg").is_file()
    assert "keep=last" not in (tmp_path / "curve.md").read_text()


def test_no_gain_is_said_with_its_interval(tmp_path: Path) -> None:
    write_runs(tmp_path, NOT, keep="last")
    _, text = write_curve(tmp_path)
    assert "**No gain shown.**" in text and "changed the eval loss by -0.010 nats/token" in text
    assert "trainer.keep=last" in (tmp_path / "curve.md").read_text()


def test_more_rows_that_hurt_are_no_gain(tmp_path: Path) -> None:
    write_runs(tmp_path, {0.5: HELPED[1.0], 1.0: HELPED[0.25]})
    assert "**No gain shown.**" in write_curve(tmp_path)[1]


def test_below_four_seeds_there_is_no_verdict(tmp_path: Path) -> None:
    write_runs(tmp_path, {share: values[:3] for share, values in HELPED.items()})
    assert "**No verdict**: 3 seeds have both 200 and 400 rows, and a verdict needs 4" in write_curve(tmp_path)[1]


def test_what_is_missing_or_broke_off_is_said(tmp_path: Path) -> None:
    """Only seeds that have both shares count; a diverged training is named, not averaged."""
    write_runs(tmp_path, {**HELPED, 1.0: [3.5, float("nan"), 3.7]}, planned=4)
    code, text = write_curve(tmp_path)
    assert code == 1 and "1 planned runs have no result" in text
    assert "trainer.train_share=1, seed 1: its loss is not finite" in text
    curve = read_curve(tmp_path)
    assert curve.last_gain and curve.last_gain.gain.count == 2 and "**No verdict**: 2 seeds" in text


def test_nothing_finished_is_a_report_too(tmp_path: Path) -> None:
    write_runs(tmp_path, {0.5: [], 1.0: []}, planned=1)
    code, text = write_curve(tmp_path)
    assert code == 1 and "no finished run with the same seed" in text


def test_it_is_written_in_korean(tmp_path: Path) -> None:
    write_runs(tmp_path, HELPED)
    curve = read_curve(tmp_path, "ko")
    assert describe_verdict(curve).startswith("**행을 늘리면 도움이 됩니다.** 200행 대신 400행으로")
    write_curve(tmp_path, "ko")
    assert "학습 행" in (tmp_path / "curve.md").read_text()


def test_the_report_command_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    from ohlora.report.__main__ import main

    write_runs(tmp_path / "c", HELPED)
    monkeypatch.setattr("sys.argv", ["report", str(tmp_path / "c")])
    assert main() == 0 and "**More rows would help.**" in capsys.readouterr().out
