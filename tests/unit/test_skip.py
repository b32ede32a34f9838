"""Runs that are not started: rows with a reason, in a selection, a sweep and a comparison; presets of an experiment."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ohlora.config.compose import compose_config
from ohlora.config.schema import Config
from ohlora.models.acceptance import require_acceptance
from ohlora.planning.plan import Plan
from ohlora.planning.validate import validate
from ohlora.records.result import Result, find_result
from ohlora.running.attempt import Place
from ohlora.studies.skipping import continue_candidate, keep_finished, name_candidate, skip_reason
from ohlora.studies.sweep import add_presets, plan_sweep

SELECTION = ["experiment=model_selection"]


@pytest.fixture
def config():
    def make(*overrides: str) -> Config:
        return validate(compose_config([*SELECTION, *overrides]))

    return make


def test_reasons_to_skip_a_candidate(config) -> None:
    assert skip_reason(Plan(config("model=gemma2-2b-it")))["code"] == "licence_not_accepted"
    require_acceptance(Plan(config("model=gemma2-2b-it", "model.accept_license=gemma")).model)
    absent = skip_reason(Plan(config("model=gemma2-2b-it")))
    assert absent["code"] == "absent" and "task=prepare model=gemma2-2b-it" in absent["text"]
    large = skip_reason(Plan(config("device_memory_gib=1")))
    assert large["code"] == "too_large" and "gemma3-270m: fine-tuning needs about" in large["text"]
    assert skip_reason(Plan(config("device_memory_gib=1", "preflight=warn"))) is None
    assert skip_reason(Plan(config("device_memory_gib=1", "task=prepare"))) is None  # it loads no model
    assert skip_reason(Plan(config())) is None  # the embedded model is made where it is missing
    assert skip_reason(Plan(config("task=benchmark", "model=polyglot-ko-1.3b"))) is None  # asked for, so it is fetched


STOPPED = {"infer": {}, "train": {"longest_pause_s": 3.0}}


@pytest.mark.parametrize(
    ("status", "disturbance", "redo", "overrides", "outcome"),
    [
        ("finished", {}, 0, [], "kept"),
        ("finished", {"load": {"longest_pause_s": 3.0}}, 0, [], "kept"),  # loads are not judged
        ("finished", STOPPED, 0, [], 1),
        ("finished", STOPPED, 1, [], 2),
        ("finished", STOPPED, 2, [], "kept"),
        ("finished", STOPPED, 0, ["compare.redo=0"], "kept"),
        ("finished", STOPPED, 0, ["device_memory_gib=1"], "kept"),  # it could not start now
        ("finished", STOPPED, 0, ["task=benchmark"], 0),  # only a selection is continued
        ("failed", STOPPED, 0, [], 0),
        ("cancelled", STOPPED, 1, [], 0),
        (None, {}, 0, [], 0),
    ],
)
def test_a_later_call_repeats_disturbed_candidates(
    config, tmp_path: Path, capsys, status: str | None, disturbance: dict, redo: int, overrides: list[str], outcome
) -> None:
    result = Result("id", status or "", "selection", "model=small", redo=redo, disturbance=disturbance)
    if status:
        result.write(tmp_path)
    plan = Plan(config("model.accept_license=gemma", *overrides))
    kept, place = continue_candidate(plan, tmp_path, Place("id", 3, "parent"))
    said = capsys.readouterr().err
    if outcome == "kept":
        assert kept == result and place == Place("id", 3, "parent") and "finished in an earlier call; remove" in said
        return
    assert kept is None and place == Place("id", 3, "parent", redo=outcome)
    again = f"running it again ({outcome} of at most 2; train longest_pause_s=3.0)"
    assert said == (f"model=small: was disturbed in an earlier call, {again}\n" if outcome else "")


def test_a_repeat_that_does_not_finish_costs_no_result(config, tmp_path: Path) -> None:
    plan = Plan(config("model.accept_license=gemma"))
    first = Result("id", "finished", "selection", "model=small", disturbance=STOPPED)

    def repeat(number: int, status: str | None, redo: int) -> None:
        """As `execute` leaves an attempt: without a status it was killed."""
        attempt = tmp_path / f"attempt-{number}"
        attempt.mkdir()
        (tmp_path / "result.json").unlink(missing_ok=True)
        if status:
            result = replace(first, status=status, redo=redo)
            result.write(attempt)
            result.write(tmp_path)
            keep_finished(tmp_path, result)

    repeat(1, "finished", 0)
    for number, status, counted in ((2, "cancelled", 0), (3, None, 0), (4, "oom", 1), (5, "failed", 2)):
        kept, place = continue_candidate(plan, tmp_path, Place("id"))
        assert kept is None
        repeat(number, status, place.redo)
        assert find_result(tmp_path) == (replace(first, redo=counted) if status else None)
    assert continue_candidate(plan, tmp_path, Place("id"))[0] == replace(first, redo=2)  # no third repeat


def test_a_candidate_has_one_name_whatever_is_swept(config) -> None:
    assert name_candidate(config("lora=r16"), []) == "model=gemma3-270m,lora=r16"
    assert name_candidate(config("lora=dora"), ["backend=unsloth"]) == "model=gemma3-270m,lora=dora-r64,backend=unsloth"
    assert name_candidate(config("lora=qlora"), []) == "model=gemma3-270m,lora=r64-nf4"


def test_the_experiment_sweeps_by_itself(config) -> None:
    jobs, plans = plan_sweep(add_presets([*SELECTION, "model.accept_license=gemma", "lora.dropout=0.1"]))
    assert len(jobs) == 36 and all(p.config.lora.dropout == 0.1 for p in plans)
    jobs, plans = plan_sweep(add_presets(SELECTION))
    assert len(jobs) == 36 and {p.config.model.name for p in plans} >= {"gemma2-2b-it", "koalpaca-korwkv-1.5b"}
    assert {p.config.lora.rank for p in plans} == {16, 32, 64}
    settings = plans[0].config
    assert (settings.trainer.train_rows, settings.trainer.batch_size, settings.trainer.epochs) == (20, 4, 10)
    assert (settings.generation.prompts, settings.generation.max_new_tokens) == (25, 80)
    fewer, chosen = plan_sweep(add_presets([*SELECTION, "model=gemma3-270m,qwen3-0.6b", "lora.rank=8"]))
    assert [p.config.lora.rank for p in chosen] == [8, 8] and len(fewer) == 2
    everything = {job.arm: job.run_id for job in jobs}
    (one,), _ = plan_sweep(add_presets([*SELECTION, "model=gemma3-270m", "lora=r16"]))
    assert everything[one.arm] == one.run_id  # the same run, so that another call goes on with it


def test_what_does_not_fit_is_a_row_of_a_sweep(ohlora, tmp_path: Path) -> None:
    ran = ohlora("-m", "lora=r16,r64", "device_memory_gib=1", "tracking=none", "study=small")
    assert ran.code == 2 and "Traceback" not in ran.err
    results = [json.loads(path.read_text()) for path in (tmp_path / "outputs" / "small").glob("*/result.json")]
    assert [(r["status"], r["reason"]["code"]) for r in results] == [("skipped", "too_large")] * 2
    assert "(0/1, skipped: gemma3-270m: fine-tuning needs about" in ran.out


def test_an_arm_that_does_not_fit_is_a_row_of_a_comparison(ohlora, tmp_path: Path) -> None:
    arms = "compare.arms=['a: lora=r16','b: lora=r128']"
    ran = ohlora(arms, "compare.pairs=2", "device_memory_gib=1", "tracking=none", "study=pairs")
    assert ran.code == 2 and "Traceback" not in ran.err
    results = [json.loads(path.read_text()) for path in (tmp_path / "outputs" / "pairs").glob("*/result.json")]
    assert [r["status"] for r in results] == ["skipped", "skipped"]  # not tried in the second pair
    again = ohlora(arms, "compare.pairs=2", "device_memory_gib=1", "tracking=none", "study=pairs")
    assert again.code == 2 and "skipped: a is kept; to run it again remove" in again.err


def test_a_task_that_shows_something_makes_no_comparison(ohlora, tmp_path: Path) -> None:
    ran = ohlora("experiment=unsloth_comparison", "task=estimate")
    assert ran.code == 0 and "| gemma3-270m | 268 | " in ran.out and not (tmp_path / "outputs").exists()


def test_missing_data_of_a_skipped_candidate_is_said(ohlora) -> None:
    ran = ohlora("-m", *SELECTION, "model=polyglot-ko-1.3b", "lora=r16", "data=csv", "data.path=none.csv")
    assert ran.code == 2 and "error: data.path=none.csv: cannot be read" in ran.err


def test_the_folder_of_something_else_is_left_alone(ohlora, tmp_path: Path) -> None:
    assert ohlora("-m", "lora=r16,r64", "device_memory_gib=1", "tracking=none", "study=mine").code == 2
    ran = ohlora("-m", *SELECTION, "model=polyglot-ko-1.3b", "tracking=none", "study=mine")
    assert ran.code == 2 and "contains other runs" in ran.err
