"""The table from result files alone: golden, and never wrong where something is missing."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ohlora.errors import UserError
from ohlora.report.write import write_comparison
from ohlora.result import Result

HF = {
    "infer/infer_time_s": 60.0, "infer/peak_rss_mib": 2000.0, "train/train_time_s": 20.0,
    "train/train_warm_time_s": 18.0, "train/peak_rss_mib": 3000.0, "eval/eval_loss": 3.5,
}  # fmt: skip
UNSLOTH = {**HF, "infer/infer_time_s": 45.0, "train/train_time_s": 22.0, "train/peak_rss_mib": 2700.0}
GOLDEN = """\
| 테스트 | Inference 메모리 | Inference 시간 | Fine-Tuning 메모리 | Fine-Tuning 시간 |
| --- | --- | --- | --- | --- |
| **w/o** Unsloth | 2,000 MiB | 60.0 s | 3,000 MiB | 20.0 s (18.0 warm) |
| **with** Unsloth | 2,000 MiB | 45.0 s | 2,700 MiB | 22.0 s (18.0 warm) |
| **절감** (saved) | +0.0 % | +25.0 % | +10.0 % | -10.0 % |
"""


def put(folder: Path, backend: str, metrics: dict[str, float], order: int = 0, **changed: object) -> Result:
    result = Result(
        f"{backend}-r{changed.get('repeat', 0)}-0", "finished", "benchmark", f"backend={backend}", order=order,
        effective={"backend": backend, "dtype": "float32"}, metrics=metrics,
        device={"type": "cpu", "name": "CPU (test)"}, model={"label": "tiny"}, hashes={"tokens": "t", "batches": "b"},
    )  # fmt: skip
    for key, value in changed.items():
        setattr(result, key, value)
    (folder / result.run_id).mkdir(parents=True)
    result.write(folder / result.run_id)
    return result


def test_the_users_table(tmp_path: Path) -> None:
    put(tmp_path, "hf", HF, 0)
    put(tmp_path, "unsloth", UNSLOTH, 1)
    _, printed = write_comparison(tmp_path)
    assert (tmp_path / "comparison.md").read_text().startswith(GOLDEN)
    assert "one pair: no verdict" in printed and "say nothing about a GPU" in printed
    rows = list(csv.DictReader(io.StringIO((tmp_path / "comparison.csv").read_text())))
    assert [row["arm"] for row in rows] == ["backend=hf", "backend=unsloth"]
    assert float(rows[1]["infer/infer_time_s"]) == 45.0
    written = json.loads((tmp_path / "comparison.json").read_text())
    assert written["verdict"] == "no_verdict" and written["pairs"] == 1
    assert written["arms"][1]["metrics"]["train/peak_rss_mib"] == 2700.0


def test_a_gpu_row_shows_what_the_gpu_allocated(tmp_path: Path) -> None:
    put(tmp_path, "hf", {**HF, "train/peak_vram_mib": 4096.0})
    _, printed = write_comparison(tmp_path)
    assert "4,096 MiB" in printed and "3,000 MiB" not in printed


def test_a_failed_arm_keeps_its_row_and_its_reason(tmp_path: Path) -> None:
    put(tmp_path, "hf", HF)
    reason = {"code": "compute_capability", "text": "Quadro M6000 has 5.2"}
    put(tmp_path, "unsloth", {}, 1, status="unsupported", reason=reason)
    _, printed = write_comparison(tmp_path)
    assert "| **with** Unsloth | unsupported | unsupported | unsupported | unsupported |" in printed
    assert "절감" not in printed
    assert "Quadro M6000 has 5.2" in (tmp_path / "comparison.md").read_text()


def test_a_run_that_broke_off_keeps_what_it_measured(tmp_path: Path) -> None:
    put(tmp_path, "hf", {k: v for k, v in HF.items() if k.startswith("infer")}, status="oom", reason={"text": "x"})
    put(tmp_path, "unsloth", UNSLOTH, 1)
    _, printed = write_comparison(tmp_path)
    assert "| **w/o** Unsloth | 2,000 MiB | 60.0 s | oom | oom |" in printed


def test_repeats_are_medians(tmp_path: Path) -> None:
    for repeat, seconds in enumerate((50.0, 70.0, 61.0)):
        put(tmp_path, "hf", {**HF, "infer/infer_time_s": seconds}, repeat=repeat)
        put(tmp_path, "unsloth", UNSLOTH, repeat=repeat)
    _, printed = write_comparison(tmp_path)
    assert "61.0 s" in printed and "3 pairs: no verdict" in printed and "not interleaved" in printed


def test_what_was_planned_and_never_ran_is_shown(tmp_path: Path) -> None:
    put(tmp_path, "hf", HF)
    planned = [{"arm": "backend=hf", "run_id": "hf-r0-0"}, {"arm": "backend=unsloth", "run_id": "x"}]
    arms = [{"name": "backend=hf", "overrides": []}, {"name": "backend=unsloth", "overrides": ["backend=unsloth"]}]
    (tmp_path / "manifest.json").write_text(json.dumps({"arms": arms, "planned": planned}))
    _, printed = write_comparison(tmp_path)
    assert "| backend=unsloth | not run |" in printed


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"hashes": {"tokens": "other", "batches": "b"}}, "NOT COMPARABLE: the token ids differ"),
        ({"hashes": {"tokens": "t", "batches": "other"}}, "NOT COMPARABLE: the batches differ"),
        (
            {"effective": {"backend": "unsloth", "dtype": "bfloat16"}},
            "NOT COMPARABLE: differs in effect: dtype (backend=hf: float32, backend=unsloth: bfloat16)",
        ),
        ({"device": {"type": "cpu", "name": "CPU (other)"}}, "different machines"),
        ({"effective": {"backend": "unsloth", "dtype": "float32", "train": {"optimizer": "SGD"}}}, "train.optimizer"),
    ],
)
def test_what_makes_arms_unequal_is_said(tmp_path: Path, changed: dict[str, object], said: str) -> None:
    put(tmp_path, "hf", HF, effective={"backend": "hf", "dtype": "float32", "train": {"optimizer": "AdamW"}})
    put(tmp_path, "unsloth", UNSLOTH, **changed)
    _, printed = write_comparison(tmp_path)
    assert said in printed
    assert ("절감" in printed) == ("NOT COMPARABLE" not in said)


def test_what_is_not_finite_is_not_compared(tmp_path: Path) -> None:
    put(tmp_path, "hf", {**HF, "train/train_loss": float("nan")})
    put(tmp_path, "unsloth", UNSLOTH, 1)
    _, printed = write_comparison(tmp_path)
    assert "NOT COMPARABLE: backend=hf has no finite train/train_loss" in printed and "절감" not in printed
    assert json.loads((tmp_path / "comparison.json").read_text())["verdict"] == "not_comparable"


def test_runs_that_did_other_work_are_rows_of_their_own(tmp_path: Path) -> None:
    put(tmp_path, "hf", HF, requested={"generation": {"prompts": 25}})
    other = put(tmp_path, "hf", {"infer/infer_time_s": 7.0}, repeat=1, requested={"generation": {"prompts": 3}})
    _, printed = write_comparison(tmp_path)
    assert "| 60.0 s |" in printed and f"| {other.run_id} | — | 7.0 s | — | — |" in printed


def test_a_run_that_left_no_result_is_said(tmp_path: Path) -> None:
    put(tmp_path, "hf", HF)
    (tmp_path / "unsloth-r0-0" / "attempt-1").mkdir(parents=True)
    assert "unsloth-r0-0: no result; it was killed" in write_comparison(tmp_path)[1]


def test_a_smoke_run_saves_nothing(tmp_path: Path) -> None:
    put(tmp_path, "hf", HF, requested={"trainer": {"name": "smoke"}})
    put(tmp_path, "unsloth", UNSLOTH, 1, requested={"trainer": {"name": "smoke"}})
    _, printed = write_comparison(tmp_path)
    assert "too short to measure anything" in printed and "절감" not in printed


def test_runs_at_the_same_time_are_not_compared(tmp_path: Path) -> None:
    put(tmp_path, "hf", HF, timings={"started": 1.0, "ended": 9.0})
    put(tmp_path, "unsloth", UNSLOTH, 1, timings={"started": 5.0, "ended": 12.0})
    assert "NOT COMPARABLE: runs overlapped in time" in write_comparison(tmp_path)[1]


def test_runs_of_another_plan_are_left_out(tmp_path: Path) -> None:
    put(tmp_path, "hf", HF)
    put(tmp_path, "unsloth", UNSLOTH, 1)
    plan = {"arms": [{"name": "backend=hf", "overrides": []}], "planned": [{"arm": "backend=hf", "run_id": "hf-r0-0"}]}
    (tmp_path / "manifest.json").write_text(json.dumps(plan))
    _, printed = write_comparison(tmp_path)
    assert "**with** Unsloth" not in printed
    assert "unsloth-r0-0: not of this sweep's plan" in (tmp_path / "comparison.md").read_text()


def test_unreadable_results_are_listed_not_used(tmp_path: Path) -> None:
    put(tmp_path, "hf", HF)
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "result.json").write_text('{"schema": 1, "run_')
    write_comparison(tmp_path)
    assert "torn: " in (tmp_path / "comparison.md").read_text()


@pytest.mark.parametrize("folder", ["none", "."])
def test_nothing_to_report(tmp_path: Path, folder: str) -> None:
    with pytest.raises(UserError):
        write_comparison(tmp_path / folder)


def test_the_report_command(tmp_path: Path) -> None:
    put(tmp_path, "hf", HF, 0)
    put(tmp_path, "unsloth", {}, 1, status="failed", reason={"code": "x", "text": "y"})
    command = [sys.executable, "-m", "ohlora.report"]
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "**w/o** Unsloth" in done.stdout
    done = subprocess.run([*command, str(tmp_path / "x")], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.startswith("error: ") and "Traceback" not in done.stderr
