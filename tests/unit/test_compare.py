"""The driver of a comparison: order, names, resuming, refusing; runs are stubs that leave a result."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ohlora.config.compose import compose_config, quote_argument
from ohlora.errors import UserError
from ohlora.planning.plan import Plan
from ohlora.planning.validate import validate
from ohlora.records.manifest import read_manifest
from ohlora.records.result import Result, read_result
from ohlora.studies import pairs
from ohlora.studies.compare import ComparisonPlan, interleave, lock_folder, parse_arms, plan_comparison
from ohlora.studies.pairs import run_pairs


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, int]]:
    """What was run: (track, arm, pair). `ends` decides how; by default every run finishes."""
    made: list[tuple[str, str, int]] = []

    def execute(plan: Plan, folder: Path, place: pairs.Place) -> tuple[Result, Path]:
        config = plan.config
        made.append((place.track, str(config.arm), config.repeat))
        status = ENDS.get((place.track, str(config.arm), config.repeat), "finished")
        result = Result(place.run_id, status, "benchmark", str(config.arm), config.repeat, place.order, place.track)
        result.redo, result.requested = place.redo, plan.resolved
        if (str(config.arm), config.repeat, place.redo) in DISTURBED:
            result.disturbance = {"train": {"longest_pause_s": 3.0}}
        folder.mkdir(parents=True, exist_ok=True)
        result.write(folder)
        return result, folder

    monkeypatch.setattr(pairs, "execute", execute)
    ENDS.clear()
    DISTURBED.clear()
    return made


ENDS: dict[tuple[str, str, int], str] = {}
DISTURBED: set[tuple[str, int, int]] = set()  # (arm, pair, how often it was made again)


def comparison(*overrides: str, folder: Path | None = None) -> ComparisonPlan:
    made = plan_comparison(validate(compose_config(list(overrides))), list(overrides), folder)
    made.manifest(overrides, None).write(made.folder)
    return made


ARMS = quote_argument("compare.arms=[backend=hf,backend=unsloth]")


def test_pairs_are_interleaved_track_by_track() -> None:
    arms = parse_arms(validate(compose_config(["experiment=unsloth_comparison"])))
    order = [(arm.track, arm.name.split("-")[0].removeprefix("backend="), pair) for arm, pair in interleave(arms, 2)]
    assert order == [
        ("equal", "hf", 0), ("equal", "unsloth", 0), ("equal", "unsloth", 1), ("equal", "hf", 1),
        ("recommended", "hf", 0), ("recommended", "unsloth", 0),
        ("recommended", "unsloth", 1), ("recommended", "hf", 1),
    ]  # fmt: skip


def test_arms_are_any_overrides_and_may_be_named() -> None:
    made = comparison("compare.arms=['lora=r16','twice as big: lora=r64 lora.alpha=128','lora=r16']")
    assert [arm.name for arm in parse_arms(made.config)] == ["lora=r16", "twice as big", "lora=r16 (2)"]
    config = made.plan_of(next(job for job in made.jobs if job.arm == "twice as big")).config
    assert (config.lora.rank, config.lora.alpha, config.arm) == (64, 128, "twice as big")
    assert len({job.run_id for job in made.jobs}) == len(made.jobs) == 12


def test_an_arm_overrides_what_the_command_says() -> None:
    made = comparison(ARMS, "backend=unsloth", "lora=r16")
    assert [made.plan_of(job).config.backend.name for job in made.jobs[:2]] == ["hf", "unsloth"]
    assert made.plan_of(made.jobs[0]).config.lora.rank == 16


def test_it_runs_every_pair_once(runs: list) -> None:
    made = comparison(ARMS, "compare.pairs=2")
    assert run_pairs(made, None)
    assert [(arm, pair) for _, arm, pair in runs] == [
        ("backend=hf", 0), ("backend=unsloth", 0), ("backend=unsloth", 1), ("backend=hf", 1),
    ]  # fmt: skip
    assert made.folder.parent == Path("outputs") and made.folder.name.startswith("compare-hf-vs-unsloth-")


def test_it_goes_on_where_it_stopped_with_whole_pairs(runs: list) -> None:
    """Stopped in the second run of the second pair: that pair is made again, the first is kept."""
    ENDS["equal", "backend=hf", 1] = "cancelled"
    made = comparison(ARMS, "compare.pairs=4", "study=s")
    assert not run_pairs(made, None)
    assert len(runs) == 4
    runs.clear()
    ENDS.clear()
    assert run_pairs(comparison(ARMS, "compare.pairs=4", "study=s"), None)
    assert [(arm, pair) for _, arm, pair in runs[:2]] == [("backend=unsloth", 1), ("backend=hf", 1)]
    assert len(runs) == 6
    runs.clear()
    assert run_pairs(comparison(ARMS, "compare.pairs=4", "study=s"), None) and not runs


def test_a_failure_is_a_result_and_is_kept(runs: list) -> None:
    ENDS["equal", "backend=unsloth", 0] = "oom"
    assert run_pairs(comparison(ARMS, "compare.pairs=2", "study=s"), None)
    runs.clear()
    assert run_pairs(comparison(ARMS, "compare.pairs=2", "study=s"), None) and not runs


def test_an_unsupported_arm_is_tried_once(runs: list) -> None:
    ENDS["equal", "backend=unsloth", 0] = "unsupported"
    assert run_pairs(comparison(ARMS, "compare.pairs=4", "study=s"), None)
    assert [arm for _, arm, _ in runs].count("backend=unsloth") == 1
    assert [arm for _, arm, _ in runs].count("backend=hf") == 1  # its row; there is nothing to compare it with
    runs.clear()
    assert run_pairs(comparison(ARMS, "compare.pairs=4", "study=s"), None) and not runs


def test_a_refused_arm_of_three_leaves_two_to_compare(runs: list) -> None:
    ENDS["equal", "c", 0] = "unsupported"
    arms = "compare.arms=['a: lora=r16','b: lora=r32','c: lora=r64']"
    assert run_pairs(comparison(arms, "compare.pairs=2", "study=s"), None)
    assert [arm for _, arm, _ in runs] == ["a", "b", "c", "b", "a"]


def test_a_refused_baseline_leaves_a_row_of_each_other(runs: list) -> None:
    ENDS["equal", "a", 0] = "unsupported"
    arms = "compare.arms=['a: lora=r16','b: lora=r32','c: lora=r64']"
    assert run_pairs(comparison(arms, "compare.pairs=2", "study=s"), None)
    assert [arm for _, arm, _ in runs] == ["a", "b", "c"]


def test_a_disturbed_pair_is_made_again_in_folders_of_its_own(runs: list, capsys: pytest.CaptureFixture[str]) -> None:
    DISTURBED.update({("backend=hf", 1, 0), ("backend=unsloth", 1, 1)})
    made = comparison(ARMS, "compare.pairs=2", "study=s")
    planned = [job.run_id for job in made.jobs]
    assert run_pairs(made, None)
    pair = [("backend=unsloth", 1), ("backend=hf", 1)]
    assert [(arm, pair) for _, arm, pair in runs][2:] == [*pair, *pair, *pair]  # in the order of the first time
    said = capsys.readouterr().err
    assert "pair 2 was disturbed, running it again (backend=hf: train longest_pause_s=3.0)" in said
    assert "[1/2] equal settings, pair 2 again (2 of at most 2): backend=unsloth" in said
    plan = read_manifest(Path("outputs/s"))
    assert plan is not None and [job.run_id for job in plan.jobs][:4] == planned
    assert [job.run_id for job in plan.jobs][4:] == [
        *(f"{run}-redo1" for run in planned[2:]), *(f"{run}-redo2" for run in planned[2:]),
    ]  # fmt: skip
    results = [read_result(Path("outputs/s") / job.run_id / "result.json") for job in plan.jobs]
    assert [result.redo for result in results] == [0] * 4 + [1] * 2 + [2] * 2
    assert [result.repeat for result in results[4:]] == [1] * 4
    runs.clear()
    assert run_pairs(comparison(ARMS, "compare.pairs=2", "study=s"), None) and not runs
    plan = read_manifest(Path("outputs/s"))
    assert plan is not None and len(plan.jobs) == 8


def test_no_more_often_than_asked(runs: list) -> None:
    DISTURBED.update(("backend=hf", 0, redo) for redo in range(9))
    assert run_pairs(comparison(ARMS, "compare.pairs=1", "compare.redo=0", "study=s"), None)
    assert len(runs) == 2
    assert run_pairs(comparison(ARMS, "compare.pairs=1", "compare.redo=1", "study=s"), None)
    assert len(runs) == 4


def test_it_goes_on_in_a_pair_that_is_made_again(runs: list, monkeypatch: pytest.MonkeyPatch) -> None:
    DISTURBED.add(("backend=hf", 0, 0))
    execute, stop = pairs.execute, [True]

    def stopping(plan: Plan, folder: Path, place: pairs.Place) -> tuple[Result, Path]:
        result, folder = execute(plan, folder, place)
        if place.redo and plan.config.backend.name == "unsloth" and stop:
            stop.clear()
            result.status = "cancelled"
            result.write(folder)
        return result, folder

    monkeypatch.setattr(pairs, "execute", stopping)
    assert not run_pairs(comparison(ARMS, "compare.pairs=1", "study=s"), None)
    runs.clear()
    assert run_pairs(comparison(ARMS, "compare.pairs=1", "study=s"), None)
    assert [arm for _, arm, _ in runs] == ["backend=hf", "backend=unsloth"], "the whole pair, and no more"


def test_a_disturbed_run_without_a_partner_is_kept(runs: list) -> None:
    DISTURBED.add(("backend=hf", 0, 0))
    ENDS["equal", "backend=unsloth", 0] = "oom"
    assert run_pairs(comparison(ARMS, "compare.pairs=1", "study=s"), None) and len(runs) == 2


@pytest.mark.parametrize(
    ("arms", "seeds"),
    [
        ("compare.arms=['backend=hf','backend=unsloth']", [7, 7, 7, 7]),
        ("compare.arms=['backend=hf','backend=hf launch.threads=1']", [7, 7, 7, 7]),
        ("compare.arms=['lora=r16','lora=r64']", [7, 7, 8, 8]),
        ("compare.arms=['backend=hf lora=r16','backend=unsloth']", [7, 7, 8, 8]),
        ("compare.arms=['seed=1','seed=10']", [1, 10, 11, 2]),
    ],
)
def test_pairs_differ_in_the_seed_where_arms_differ_in_more_than_the_back_end(
    runs: list, arms: str, seeds: list[int]
) -> None:
    made = comparison(arms, "compare.pairs=2", "study=s", "seed=7")
    assert [made.plan_of(job).config.seed for job in made.jobs] == seeds
    assert [job.asked["seed"] for job in made.jobs] == seeds
    assert run_pairs(made, None)
    runs.clear()
    assert run_pairs(comparison(arms, "compare.pairs=2", "study=s", "seed=7"), None) and not runs


def test_more_pairs_later_keep_the_first(runs: list) -> None:
    assert run_pairs(comparison(ARMS, "compare.pairs=1", "study=s"), None)
    runs.clear()
    assert run_pairs(comparison(ARMS, "compare.pairs=4", "study=s"), None)
    assert len(runs) == 6 and all(pair for _, _, pair in runs)
    orders = [json.loads(path.read_text())["order"] for path in Path("outputs/s").glob("*/result.json")]
    assert sorted(orders) == list(range(8)), "the order of running goes on too"
    comparison(ARMS, "compare.pairs=1", "study=s")
    held = read_manifest(Path("outputs/s"))
    assert held is not None and len(held.jobs) == 8, "a smaller call forgets nothing"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["compare.arms=['backend=hf']"], "one arm only; a comparison needs two or more"),
        (["compare.arms=['backend=hf','backend=foo']"], "[backend=foo] backend=foo: choose from hf, unsloth"),
        (["compare.arms=['backend=hf','']"], "an arm is empty"),
        ([ARMS, "compare.pairs=3"], "compare.pairs=3: must be even"),
        ([ARMS, "compare.pairs=0"], "compare.pairs=0: must be >= 1"),
        (
            [quote_argument("compare.arms=[lora=r16,lora=r64]"), "lora.rank=8"],
            "lora.rank=8: the arm sets this whole group",
        ),
        (
            ["compare.recommended=['backend=hf','backend=unsloth']"],
            "needs compare.arms, which is empty; give compare.arms",
        ),
        (["backend=hf", "trainer.gradient_checkpointing=unsloth"], "backend=hf lacks it"),
    ],
)
def test_bad_input(overrides: list[str], said: str) -> None:
    with pytest.raises(UserError) as raised:
        comparison(*overrides)
    assert said in str(raised.value)


def test_a_folder_of_something_else_is_left_alone(runs: list) -> None:
    run_pairs(comparison(ARMS, "study=s", "compare.pairs=2"), None)
    with pytest.raises(UserError, match="contains another comparison"):
        comparison(ARMS, "study=s", "compare.pairs=2", "lora=r16")
    (Path("outputs/foreign/x/attempt-1")).mkdir(parents=True)
    with pytest.raises(UserError, match="contains other runs"):
        comparison(ARMS, "study=foreign")
    Path("outputs/torn").mkdir()
    Path("outputs/torn/manifest.json").write_text('{"planned": [')
    with pytest.raises(UserError, match="manifest.json that cannot be read"):
        comparison(ARMS, "study=torn")


def test_two_at_a_time_are_refused(runs: list) -> None:
    made = comparison(ARMS, "study=s")
    with (
        lock_folder(made.folder),
        pytest.raises(UserError, match="another process is running"),
        lock_folder(made.folder),
    ):
        run_pairs(made, None)
    assert not runs


def test_a_sweep_over_a_comparison_is_refused(ohlora: Callable) -> None:
    ran = ohlora("-m", "experiment=unsloth_comparison", "lora=r16,r64")
    assert ran.code == 2 and "remove -m" in ran.err


def test_arms_need_no_quotes_at_the_shell() -> None:
    assert quote_argument("compare.arms=[lora=r16, lora=r64]") == "compare.arms=['lora=r16','lora=r64']"
    assert quote_argument('compare.arms=["a: lora=r16"]') == 'compare.arms=["a: lora=r16"]'
