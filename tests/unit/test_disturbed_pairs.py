"""What the report makes of disturbed pairs, of one seed, and of steps that float16's loss scaler skipped."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from test_report import HF, put

from ohlora.report.comparison.record import list_tags
from ohlora.report.comparison.write import write_comparison
from ohlora.report.single import show_run

STOPPED = {"infer": {"longest_pause_s": 0.1}, "train": {"wall_s": 40.0, "longest_pause_s": 20.0, "pauses_s": 20.0}}


def put_pair(folder: Path, number: int, repeat: int, spoilt: float = 0.0, **changed: Any) -> None:
    """Two runs, of which the first pauses for `spoilt` seconds in training, AB or BA by the repeat."""
    redo = changed.get("redo", 0)
    for turn, backend in enumerate(("hf", "unsloth") if repeat % 2 == 0 else ("unsloth", "hf")):
        values = {**HF, "train/train_time_s": 20.0 + 0.02 * number + (0.0 if backend == "hf" else -2.0)}
        own: dict[str, Any] = {"disturbance": {"infer": {}, "train": {}}}
        if spoilt and turn == 0:
            values["train/train_time_s"] += spoilt
            own["disturbance"] = STOPPED
        start = 100.0 * number + 40 * turn
        run_id = f"{backend}-r{repeat}-0" + (f"-redo{redo}" if redo else "")
        times = {"started": start, "ended": start + 30}
        put(folder, backend, values, 2 * number + turn, repeat=repeat, run_id=run_id, timings=times, **own, **changed)


def read(folder: Path) -> dict[str, Any]:
    (track,) = json.loads((folder / "comparison.json").read_text())["tracks"]
    (one,) = track["contrasts"]
    return one


def test_a_disturbed_pair_is_shown_and_takes_no_part_in_a_verdict(tmp_path: Path) -> None:
    for number in range(4):
        put_pair(tmp_path, number, number, 20.0 if number == 1 else 0.0)
    put_pair(tmp_path, 4, 1, redo=1)
    comparison, printed = write_comparison(tmp_path)
    one = read(tmp_path)
    assert one["pairs"] == 4 and one["interleaved"] and one["comparable"]
    assert one["left_out"] == [
        {"repeat": 1, "redo": 0, "reasons": {"unsloth-r1-0": {"train": ["longest_pause_s=20.0"]}}}
    ]
    assert one["metrics"]["train/train_time_s"]["verdict"] == "faster"
    with_it = one["metrics_with_disturbed"]["train/train_time_s"]
    assert with_it["pairs"] == 5 and with_it["verdict"] == "no_difference_shown"
    assert "pairs: 4, 1 disturbed and left out" in printed
    assert "1 of 5 pairs were disturbed by the machine and are left out" in printed
    text = (tmp_path / "comparison.md").read_text()
    shown = "| pair | arm | phase | why |\n| --- | --- | --- | --- |\n"
    assert shown + "| 2 | backend=unsloth | train | the process was paused for 20.0 s |\n\n" in text
    assert "<td>the process was paused for 20.0 s</td>" in (tmp_path / "comparison.html").read_text()
    assert "with Unsloth: 1 of 5 pairs disturbed and left out" in (tmp_path / "ratios.svg").read_text()
    assert "| 18.0 s (" in text.split("w/o")[0], "the cells are of the pairs that verdicts are of"
    assert list_tags(comparison)["disturbed.unsloth"] == "1 of 5 pairs left out"
    rows = list(csv.DictReader(io.StringIO((tmp_path / "comparison.csv").read_text())))
    assert [row["disturbed"] for row in rows if row["disturbed"]] == ["train longest_pause_s=20.0"]
    assert [row["redo"] for row in rows].count("1") == 2


def test_a_disturbed_run_of_a_pair_that_was_made_again(tmp_path: Path) -> None:
    put_pair(tmp_path, 0, 0, 20.0)
    put_pair(tmp_path, 1, 0, 20.0, redo=1)
    write_comparison(tmp_path)
    assert "| 1 (made again, 1) | backend=hf | train |" in (tmp_path / "comparison.md").read_text()


def test_too_few_undisturbed_pairs_have_no_verdict(tmp_path: Path) -> None:
    for number in range(4):
        put_pair(tmp_path, number, number, 20.0 if number == 1 else 0.0)
    _, printed = write_comparison(tmp_path)
    figure = read(tmp_path)["metrics"]["train/train_time_s"]
    assert (figure["verdict"], figure["why"], figure["pairs"]) == ("no_verdict", "few_pairs", 3)
    assert "number of pairs: 3; no verdict" in printed


def test_only_disturbed_pairs_show_values_and_save_nothing(tmp_path: Path) -> None:
    put_pair(tmp_path, 0, 0, 20.0)
    _, printed = write_comparison(tmp_path)
    one = read(tmp_path)
    assert one["pairs"] == 0 and one["metrics"] == {} and one["metrics_with_disturbed"]
    assert "40.0 s (18.0" in printed and "절감" not in printed and "1 of 1 pairs were disturbed" in printed


def test_a_disturbed_run_alone_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_run(put(tmp_path, "hf", HF, disturbance=STOPPED), tmp_path)
    printed = capsys.readouterr()
    assert "warning: the machine disturbed this run: train: the process was paused for 20.0 s" in printed.err
    assert "20.0 s" in printed.out and "warning" not in printed.out
    show_run(put(tmp_path, "unsloth", HF, disturbance={"train": {}}), tmp_path)
    assert not capsys.readouterr().err


def test_the_plots_take_an_undisturbed_run_and_mark_one_that_is_not(tmp_path: Path) -> None:
    for number in range(2):
        put_pair(tmp_path, number, number, 20.0 if number == 0 else 0.0)
    for run, value in (("hf-r0-0", 9.0), ("hf-r1-0", 2.0), ("unsloth-r0-0", 3.0)):
        (tmp_path / run / "attempt-1").mkdir()
        lines = [json.dumps({"key": "train/loss", "value": value + step, "step": step}) for step in (1, 2)]
        (tmp_path / run / "attempt-1" / "metrics.jsonl").write_text("\n".join(lines))
    write_comparison(tmp_path)
    drawn = (tmp_path / "loss.svg").read_text()
    assert "disturbed" not in drawn and ">10<" not in drawn, "the second run's curve, up to 4, not the first's, to 11"
    for run in ("hf-r1-0", "unsloth-r1-0"):
        (tmp_path / run / "result.json").unlink()
    write_comparison(tmp_path)
    drawn = (tmp_path / "loss.svg").read_text()
    assert "backend=hf (disturbed: train)" in drawn and "backend=unsloth (" not in drawn and ">10<" in drawn


def test_in_korean(tmp_path: Path) -> None:
    put_pair(tmp_path, 0, 0, 20.0)
    _, printed = write_comparison(tmp_path, "ko")
    assert "전체 1쌍 가운데 1쌍은" in printed
    assert "| 1 | backend=hf | 학습 | 프로세스가 20.0초 동안 멈춤 |" in (tmp_path / "comparison.md").read_text()


@pytest.mark.parametrize(("step", "verdict", "why"), [(0, "no_verdict", "one_seed"), (1, "less", "")])
def test_quality_needs_seeds(tmp_path: Path, step: int, verdict: str, why: str) -> None:
    """Four pairs of one seed repeat themselves exactly: that is one observation."""
    for number in range(4):
        seed = {"requested": {"seed": 42 + step * number}}
        for turn, backend in enumerate(("hf", "unsloth") if number % 2 == 0 else ("unsloth", "hf")):
            loss = 3.0 + 0.1 * step * number - (0.3 if backend == "unsloth" else 0.0)
            times = {"started": 100.0 * number + 40 * turn, "ended": 100.0 * number + 40 * turn + 30}
            effective = {"backend": backend, "dtype": "float16"}
            values = {"train/train_time_s": 20.0, "train/train_loss": loss}
            hashes = {"tokens": "t", "batches": f"b{seed}"}
            put(tmp_path, backend, values, repeat=number, timings=times, effective=effective, hashes=hashes, **seed)
    plan = [
        {"arm": f"backend={b}", "run_id": f"{b}-r{n}-0", "repeat": n, "track": "", "asked": {"seed": 42 + step * n}}
        for n in range(4)
        for b in ("hf", "unsloth")
    ]
    (tmp_path / "manifest.json").write_text(json.dumps({"schema": 1, "kind": "pairs", "planned": plan}))
    _, printed = write_comparison(tmp_path)
    one = read(tmp_path)
    assert one["pairs"] == 4 and one["comparable"], printed
    figure = one["metrics"]["train/train_loss"]
    assert (figure["verdict"], figure["why"]) == (verdict, why) and figure["p_holm"] > 0
    assert ("no verdict (one seed)" in (tmp_path / "comparison.md").read_text()) == (step == 0)


@pytest.mark.parametrize(
    ("steps", "state"),
    [(([0, 1], [0, 1]), "equal"), (([0, 1], [0]), "broken"), (([], []), None), ((None, [0]), "broken")],
)
def test_equal_skips_of_the_loss_scaler_are_no_difference(tmp_path: Path, steps: Any, state: str | None) -> None:
    for order, (backend, skipped) in enumerate(zip(("hf", "unsloth"), steps, strict=True)):
        parity = {} if skipped is None else {"scaler_skipped_steps": skipped}
        put(tmp_path, backend, {**HF, "train/skipped_steps": float(len(skipped or []))}, order, parity=parity)
    write_comparison(tmp_path)
    one = read(tmp_path)
    assert next((c["state"] for c in one["parity"] if c["code"] == "scaler"), None) == state
    assert one["comparable"] == (state != "broken")
    assert next(c["state"] for c in one["parity"] if c["code"] == "finite") == "equal"


@pytest.mark.parametrize(("skipped", "state"), [([1], "equal"), ([], "broken")])
def test_the_gradient_of_a_skipped_step_is_not_compared(tmp_path: Path, skipped: list[int], state: str) -> None:
    for order, backend in enumerate(("hf", "unsloth")):
        parity = {"losses": [3.0, 2.5], "grad_norms": [float("inf"), 1.0], "scaler_skipped_steps": skipped}
        put(tmp_path, backend, HF, order, parity=parity)
    write_comparison(tmp_path)
    assert next(c["state"] for c in read(tmp_path)["parity"] if c["code"] == "grad_norms") == state
