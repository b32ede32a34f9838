"""The table from result files alone: golden, and never wrong where something is missing."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ohlora import __version__
from ohlora.errors import UserError
from ohlora.records.result import Result, Status
from ohlora.report.comparison.equality import Check
from ohlora.report.comparison.labels import detail_text
from ohlora.report.comparison.write import write_comparison
from ohlora.report.provenance import version_text
from ohlora.report.words.comparison import say

HF = {
    "infer/infer_time_s": 60.0, "infer/peak_rss_mib": 2000.0, "train/train_time_s": 20.0,
    "train/train_warm_time_s": 18.0, "train/peak_rss_mib": 3000.0, "eval/eval_loss": 3.5,
}  # fmt: skip
UNSLOTH = {**HF, "infer/infer_time_s": 45.0, "train/train_time_s": 22.0, "train/peak_rss_mib": 2700.0}
GOLDEN = """\
| 테스트 | Inference 메모리 | Inference 시간 | Fine-Tuning 메모리 | Fine-Tuning 시간 |
| --- | --- | --- | --- | --- |
| **with** Unsloth | 2,000 MiB RSS | 45.0 s | 2,700 MiB RSS | 22.0 s (18.0 warm) |
| **w/o** Unsloth | 2,000 MiB RSS | 60.0 s | 3,000 MiB RSS | 20.0 s (18.0 warm) |
| **절감** (saved) | one pair: `make compare-full` | — | — | — |
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
    assert "- **inference time**: no verdict: 45.0 s (with Unsloth) against 60.0 s (w/o Unsloth); one pair" in printed
    assert "%" not in printed and "number of pairs: 1; no verdict" in printed and "say nothing about a GPU" in printed
    rows = list(csv.DictReader(io.StringIO((tmp_path / "comparison.csv").read_text())))
    assert [row["arm"] for row in rows] == ["backend=hf", "backend=unsloth"]
    assert float(rows[1]["infer/infer_time_s"]) == 45.0
    written = json.loads((tmp_path / "comparison.json").read_text())
    (track,) = written["tracks"]
    (one,) = track["contrasts"]
    version = version_text()
    assert version.startswith(f"ohlora {__version__}") and written["written_by"]["version"] == __version__
    assert all(version in (tmp_path / f"comparison.{kind}").read_text() for kind in ("md", "html"))
    assert written["schema"] == 2 and written["comparable"] and one["pairs"] == 1
    assert one["metrics"]["train/peak_rss_mib"]["verdict"] == "no_verdict"
    assert one["metrics"]["train/peak_rss_mib"]["ratio"] == pytest.approx(0.9)
    assert track["arms"][1]["medians"]["train/peak_rss_mib"] == 2700.0


def test_a_gpu_row_shows_what_the_gpu_allocated(tmp_path: Path) -> None:
    put(tmp_path, "hf", {**HF, "train/peak_vram_mib": 4096.0})
    _, printed = write_comparison(tmp_path)
    assert "4,096 MiB" in printed and "3,000 MiB" not in printed


def test_estimates_stand_beside_what_was_measured_and_fitted_models_judge_nothing(tmp_path: Path) -> None:
    put(tmp_path, "hf", {**HF, "estimate/train/peak_mib": 3300.0})
    fitted = {"name": "gemma3-270m", "label": "tiny"}
    put(tmp_path, "unsloth", {**UNSLOTH, "estimate/train/peak_mib": 2160.0}, 1, model=fitted)
    write_comparison(tmp_path)
    text = (tmp_path / "comparison.md").read_text("utf-8")
    assert "fine-tuning memory | 3,300 MiB | 3,000 MiB | +10.0 % |" in text
    assert "was fitted on: 1 figures, error at most 10.0 %, mean 10.0 %. Not a judgement: 1 figures are of" in text
    assert "their error is at most 20.0 %" in text and "does not judge the estimate" not in text


def test_a_failed_arm_keeps_its_row_and_its_reason(tmp_path: Path) -> None:
    put(tmp_path, "hf", HF)
    reason = {"code": "compute_capability", "text": "Quadro M6000 has 5.2"}
    put(tmp_path, "unsloth", {}, 1, status="unsupported", reason=reason)
    _, printed = write_comparison(tmp_path)
    assert "| **with** Unsloth (0/1, unsupported: Quadro M6000 has 5.2) | unsupported | unsupported |" in printed
    assert "절감" not in printed
    assert "Quadro M6000 has 5.2" in (tmp_path / "comparison.md").read_text()


def test_a_run_that_broke_off_keeps_what_it_measured(tmp_path: Path) -> None:
    put(tmp_path, "hf", {k: v for k, v in HF.items() if k.startswith("infer")}, status="oom", reason={"text": "x"})
    put(tmp_path, "unsloth", UNSLOTH, 1)
    _, printed = write_comparison(tmp_path)
    assert "| **w/o** Unsloth (0/1, oom: x) | 2,000 MiB RSS | 60.0 s | oom | oom |" in printed


def test_the_cells_and_the_savings_are_of_the_same_ratio(tmp_path: Path) -> None:
    """Geometric means over the pairs; a run without a partner counts for neither."""
    for repeat, seconds in enumerate((50.0, 70.0, 61.0)):
        put(tmp_path, "hf", {**HF, "infer/infer_time_s": seconds}, repeat=repeat)
        put(tmp_path, "unsloth", UNSLOTH, repeat=repeat)
    put(tmp_path, "hf", {**HF, "infer/infer_time_s": 1000.0}, repeat=3)
    _, printed = write_comparison(tmp_path)
    mean = (50 * 70 * 61) ** (1 / 3)
    assert f"| {mean:.1f} s |" in printed and "number of pairs: 3; no verdict" in printed
    assert f"| **절감** (saved) | 0.0 % (no verdict) | {100 * (1 - 45 / mean):+.1f} % (no verdict) |" in printed
    assert f"no verdict: {100 * (45 / mean - 1):+.1f} % (with Unsloth against w/o Unsloth" in printed
    assert "geometric mean over the pairs" in (tmp_path / "comparison.md").read_text()
    assert "not interleaved" in printed


def test_arms_without_a_pair_have_no_empty_table_of_ratios(tmp_path: Path) -> None:
    put(tmp_path, "hf", HF)
    for order, backend in enumerate(("unsloth", "toy"), 1):
        put(
            tmp_path,
            backend,
            {} if backend == "toy" else UNSLOTH,
            order,
            status="oom" if backend == "toy" else "finished",
        )
    write_comparison(tmp_path)
    text = (tmp_path / "comparison.md").read_text("utf-8")
    assert "backend=unsloth ÷ backend=hf\n\n| metric" in text and "backend=toy ÷ backend=hf" not in text


def test_an_arm_without_a_pair_shows_medians(tmp_path: Path) -> None:
    for repeat, seconds in enumerate((50.0, 70.0, 61.0)):
        put(tmp_path, "hf", {**HF, "infer/infer_time_s": seconds}, repeat=repeat)
    assert "| 61.0 s |" in write_comparison(tmp_path)[1]


def test_a_back_end_that_the_report_does_not_know(tmp_path: Path) -> None:
    """Any third back end gets rows, verdicts, savings and plots, under its arm's name."""
    clock = 0
    for pair in range(4):
        arms = ["hf", "unsloth", "toy"]
        for backend in arms if pair % 2 == 0 else arms[::-1]:
            times = {"started": clock, "ended": clock + 5}
            faster = {"hf": 1.0, "unsloth": 0.9, "toy": 0.5}[backend]
            values = {**HF, "infer/infer_time_s": (60.0 + pair / 10) * faster}
            put(tmp_path, backend, values, clock, repeat=pair, timings=times, track="equal")
            clock += 10
    _, printed = write_comparison(tmp_path)
    rows = [line.split(" | ")[0].removeprefix("| ") for line in printed.splitlines() if line.startswith("| ")]
    assert rows[2:] == [
        "**with** Unsloth", "backend=toy", "**w/o** Unsloth", "**절감** (saved): with Unsloth against w/o Unsloth",
        "**절감** (saved): backend=toy against w/o Unsloth",
    ]  # fmt: skip
    assert (
        "| **절감** (saved): backend=toy against w/o Unsloth | 0.0 % (no difference shown) | +50.0 % (faster)"
        in printed
    )
    assert "**inference time**: faster: -50.0 % (backend=toy against w/o Unsloth" in printed
    assert (tmp_path / "equal-ratios.svg").read_text().count("backend=toy") > 1


def test_any_two_arms_have_savings_named_by_them(tmp_path: Path) -> None:
    for arm, order, seconds in (("lora=r16", 0, 60.0), ("lora=r64", 1, 90.0)):
        for repeat in range(2):
            values = {**HF, "infer/infer_time_s": seconds}
            put(tmp_path, "hf", values, order, arm=arm, repeat=repeat, run_id=f"{arm}-{repeat}", track="equal")
    _, printed = write_comparison(tmp_path)
    assert "| **절감** (saved): lora=r64 against lora=r16 | 0.0 % (no verdict) | -50.0 % (no verdict)" in printed
    _, printed = write_comparison(tmp_path, "ko")
    assert "| **절감**: lora=r16 대비 lora=r64 | 0.0 % (판정 없음) | -50.0 % (판정 없음)" in printed


@pytest.mark.parametrize(("track", "said"), [("equal", "one pair: `compare.pairs=4`"), ("", "one pair")])
def test_one_pair_of_other_arms_says_how_to_get_more(tmp_path: Path, track: str, said: str) -> None:
    for arm in ("lora=r16", "lora=r64"):
        put(tmp_path, "hf", HF, arm=arm, run_id=arm, track=track)
    assert f"| **절감** (saved): lora=r64 against lora=r16 | {said} | — | — | — |" in write_comparison(tmp_path)[1]


def test_what_was_planned_and_never_ran_is_shown(tmp_path: Path) -> None:
    put(tmp_path, "hf", HF)
    planned = [{"arm": "backend=hf", "run_id": "hf-r0-0"}, {"arm": "backend=unsloth", "run_id": "x"}]
    arms = [{"name": "backend=hf", "overrides": []}, {"name": "backend=unsloth", "overrides": ["backend=unsloth"]}]
    (tmp_path / "manifest.json").write_text(json.dumps({"schema": 1, "arms": arms, "planned": planned}))
    _, printed = write_comparison(tmp_path)
    assert "| backend=unsloth (0/1) | not run |" in printed


@pytest.mark.parametrize("fails", [{"status": "oom", "reason": {"text": "x"}}, {"status": "killed", "reason": {}}])
def test_nothing_is_compared_without_a_pair(tmp_path: Path, fails: dict[str, object]) -> None:
    put(tmp_path, "hf", HF)
    put(tmp_path, "unsloth", {}, 1, **fails)
    _, printed = write_comparison(tmp_path)
    assert "no pair in which both sides finished" in printed and "절감" not in printed


def test_zero_finished_runs(tmp_path: Path) -> None:
    for order, backend in enumerate(("hf", "unsloth")):
        put(tmp_path, backend, {}, order, status="failed", reason={"code": "x", "text": "broke"})
    comparison, printed = write_comparison(tmp_path)
    assert "no run finished" in printed and "broke" in printed and comparison.exit_code() == 1


def four_pairs(folder: Path, interleaved: bool = True, **changed: object) -> None:
    """Unsloth takes three quarters of the time and exactly as much memory."""
    clock = 0.0
    for pair, noise in enumerate((1.00, 1.02, 0.99, 1.01)):
        sides = ["hf", "unsloth"] if pair % 2 == 0 or not interleaved else ["unsloth", "hf"]
        for backend in sides:
            times = {"started": clock, "ended": clock + 5}
            values = {
                **HF,
                "infer/infer_time_s": HF["infer/infer_time_s"] * noise * (0.75 if backend == "unsloth" else 1),
            }
            put(folder, backend, values, int(clock), repeat=pair, timings=times, **changed)
            clock += 10


def test_four_interleaved_pairs_have_verdicts(tmp_path: Path) -> None:
    four_pairs(tmp_path)
    _, printed = write_comparison(tmp_path)
    assert "**inference time**: faster: -25.0 % (with Unsloth against w/o Unsloth; 95 % interval" in printed
    assert "| **절감** (saved) | 0.0 % (no difference shown) | +25.0 % (faster) |" in printed
    (track,) = json.loads((tmp_path / "comparison.json").read_text())["tracks"]
    metrics = track["contrasts"][0]["metrics"]
    figure = metrics["infer/infer_time_s"]
    assert figure["verdict"] == "faster" and figure["pairs"] == 4 and figure["interval"][1] < 0.8
    assert metrics["infer/peak_rss_mib"]["verdict"] == "no_difference_shown"
    assert {key for key, one in metrics.items() if one["headline"]} == {
        "infer/infer_time_s", "infer/peak_rss_mib", "train/train_time_s", "train/peak_rss_mib",
    }  # fmt: skip


def test_four_pairs_in_the_order_of_a_sweep_have_none(tmp_path: Path) -> None:
    four_pairs(tmp_path, interleaved=False)
    _, printed = write_comparison(tmp_path)
    assert "not interleaved" in printed and "faster" not in printed


def test_a_memory_difference_below_its_error_is_none(tmp_path: Path) -> None:
    for pair in range(4):
        for turn, backend in enumerate(("hf", "unsloth") if pair % 2 == 0 else ("unsloth", "hf")):
            times = {"started": pair * 10.0 + turn * 5, "ended": pair * 10.0 + turn * 5 + 1}
            memory = 2000.0 + (7.0 if backend == "unsloth" else 0.0)
            values = {
                "infer/peak_rss_mib": memory,
                "train/peak_rss_mib": memory + (60.0 if backend == "unsloth" else 0),
            }
            put(tmp_path, backend, values, repeat=pair, timings=times)
    write_comparison(tmp_path)
    metrics = json.loads((tmp_path / "comparison.json").read_text())["tracks"][0]["contrasts"][0]["metrics"]
    assert metrics["infer/peak_rss_mib"]["verdict"] == "no_difference_shown"
    assert metrics["train/peak_rss_mib"]["verdict"] == "more"


def test_what_is_broken_is_loud_and_saves_nothing(tmp_path: Path) -> None:
    put(tmp_path, "hf", {**HF, "train/train_loss": float("nan")})
    put(tmp_path, "unsloth", UNSLOTH, 1)
    _, printed = write_comparison(tmp_path)
    assert printed.startswith(
        "> **NOT COMPARABLE**: backend=unsloth against backend=hf: broken check: all losses finite"
    )
    assert "backend=hf: train/train_loss" in printed and "절감" not in printed
    assert (tmp_path / "comparison.md").read_text().startswith("> **NOT COMPARABLE**")
    written = json.loads((tmp_path / "comparison.json").read_text())
    assert not written["comparable"]
    verdicts = {one["verdict"] for one in written["tracks"][0]["contrasts"][0]["metrics"].values()}
    assert verdicts == {"not_comparable"}


def test_in_korean(tmp_path: Path) -> None:
    put(tmp_path, "hf", HF, hashes={"tokens": "other"})
    put(tmp_path, "unsloth", UNSLOTH, 1)
    put(tmp_path / "same", "hf", HF)
    put(tmp_path / "same", "unsloth", UNSLOTH, 1)
    _, printed = write_comparison(tmp_path / "same", "ko")
    assert "| **절감** | 1쌍뿐: `make compare-full` |" in printed and "(워밍업 제외 18.0)" in printed
    _, printed = write_comparison(tmp_path, "ko")
    assert printed.startswith("> **비교 불가**:") and "통과하지 못한 검사: 토큰 id와 레이블" in printed
    assert 'lang="ko"' in (tmp_path / "comparison.html").read_text()


@pytest.mark.parametrize("status", [status.value for status in Status if status is not Status.finished])
def test_a_status_is_in_the_language_of_the_page_and_the_same_in_data(tmp_path: Path, status: str) -> None:
    put(tmp_path, "hf", HF)
    put(tmp_path, "unsloth", {}, 1, status=status, reason={"code": "x", "text": "y"})
    _, printed = write_comparison(tmp_path, "ko")
    text, word = (tmp_path / "comparison.md").read_text("utf-8"), say("ko", f"status.{status}")
    assert f"(0/1, {word}: y) | {word} | {word} |" in text and f"(unsloth-r0-0): {word}: y" in text
    assert f"{status}:" not in text + printed
    rows = list(csv.DictReader(io.StringIO((tmp_path / "comparison.csv").read_text("utf-8"))))
    (track,) = json.loads((tmp_path / "comparison.json").read_text("utf-8"))["tracks"]
    assert rows[1]["status"] == status and track["arms"][1]["status"] == [status]


def test_what_a_check_found_is_in_the_language_of_the_page(tmp_path: Path) -> None:
    put(tmp_path, "hf", HF, parity={"losses": [3.0, 2.0]})
    put(tmp_path, "unsloth", UNSLOTH, 1, parity={"losses": [3.0, 2.5]})
    for lang, found in (("en", "2.0e-01 > 0.001, step 1"), ("ko", "2.0e-01 > 0.001, 스텝 1")):
        assert f"({found})" in write_comparison(tmp_path, lang)[1]
        assert f"| {found} |" in (tmp_path / "comparison.md").read_text("utf-8")
    assert "2.0e-01 > 0.001, step 1" in (tmp_path / "comparison.json").read_text("utf-8")


def test_a_value_that_is_called_step_is_not_translated() -> None:
    assert detail_text(Check("settings", "broken", "big step: on"), "ko") == "big step: on"
    assert detail_text(Check("batches", "broken", "step 3"), "ko") == "스텝 3"


def test_runs_that_did_other_work_are_rows_of_their_own(tmp_path: Path) -> None:
    put(tmp_path, "hf", HF, requested={"generation": {"prompts": 25}})
    other = put(tmp_path, "hf", {"infer/infer_time_s": 7.0}, repeat=1, requested={"generation": {"prompts": 3}})
    _, printed = write_comparison(tmp_path)
    assert "| 60.0 s |" in printed and f"| {other.run_id} | — | 7.00 s | — | — |" in printed


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
    assert "broken check: no two runs at the same time" in write_comparison(tmp_path)[1]


def test_runs_of_another_plan_are_left_out(tmp_path: Path) -> None:
    put(tmp_path, "hf", HF)
    put(tmp_path, "unsloth", UNSLOTH, 1)
    plan = {"schema": 1, "planned": [{"arm": "backend=hf", "run_id": "hf-r0-0"}]}
    (tmp_path / "manifest.json").write_text(json.dumps(plan))
    _, printed = write_comparison(tmp_path)
    assert "**with** Unsloth" not in printed
    assert "unsloth-r0-0: not of this folder's plan" in (tmp_path / "comparison.md").read_text()


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


def test_several_folders_are_not_pooled(tmp_path: Path) -> None:
    for name, device in (("here", "CPU (one)"), ("there", "NVIDIA T4")):
        folder = tmp_path / name
        put(folder, "hf", HF, device={"type": "cpu", "name": device})
        put(folder, "unsloth", UNSLOTH, 1, device={"type": "cpu", "name": device})
    command = [sys.executable, "-m", "ohlora.report", "here", "there", "--out", "both"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "**Different machines**: CPU (one), None MiB; NVIDIA T4, None MiB." in done.stdout
    assert done.stdout.count("**with** Unsloth") == 2 and "| there | with Unsloth ÷ w/o Unsloth |" in done.stdout
    written = json.loads((tmp_path / "both" / "comparison.json").read_text())
    assert version_text() in done.stdout and written["written_by"]["version"] == __version__
    assert written["different_machines"] and [one["folder"] for one in written["comparisons"]] == ["here", "there"]
    rows = list(csv.DictReader(io.StringIO((tmp_path / "both" / "comparison.csv").read_text())))
    assert [row["folder"] for row in rows] == ["here", "here", "there", "there"]


def test_old_and_foreign_results_are_said_not_used(tmp_path: Path) -> None:
    put(tmp_path, "hf", HF)
    for name, text in (("old", '{"schema": 0, "run_id": "x"}'), ("list", "[1, 2]"), ("binary", "\x00\x01")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text(text)
    _, printed = write_comparison(tmp_path)
    assert (
        "old: " in printed and "not a result of schema 1" in printed and "list: " in printed and "binary: " in printed
    )
    assert "one arm only" in printed


@pytest.mark.parametrize(
    "plan",
    [
        {"schema": 99, "planned": []},
        {"schema": 1, "planned": [{"arm": "a", "run_id": "b", "track": "foo"}]},
        {"schema": 1, "planned": [{"arm": 1, "run_id": "b"}]},
        {"schema": 1, "planned": "all"},
        [],
    ],
)
def test_a_plan_that_is_none_is_said(tmp_path: Path, plan: object) -> None:
    put(tmp_path, "hf", HF)
    (tmp_path / "manifest.json").write_text(json.dumps(plan))
    assert "manifest.json: " in write_comparison(tmp_path)[1]


def test_torn_curves_draw_what_is_whole(tmp_path: Path) -> None:
    made = put(tmp_path, "hf", HF)
    (tmp_path / made.run_id / "attempt-1").mkdir()
    lines = ['{"key": "train/loss", "value": 3.0, "step": 1}', '{"key": "train/lo', '{"value": 1}', "[]", ""]
    (tmp_path / made.run_id / "attempt-1" / "metrics.jsonl").write_text("\n".join(lines))
    write_comparison(tmp_path)
    assert (tmp_path / "loss.svg").is_file()


def test_a_run_that_was_changed_is_left_out_of_a_comparison(tmp_path: Path) -> None:
    planned = []
    for repeat in range(2):
        made = put(tmp_path, "hf", HF, repeat=repeat, requested={"seed": repeat}, track="equal")
        planned.append({"arm": made.arm, "run_id": made.run_id, "repeat": repeat, "track": "equal"})
    (tmp_path / "manifest.json").write_text(json.dumps({"schema": 1, "kind": "pairs", "planned": planned}))
    comparison, printed = write_comparison(tmp_path)
    assert len(comparison.tracks) == 1 and len(comparison.runs) == 1
    assert "hf-r1-0: not of this folder's plan" in printed
