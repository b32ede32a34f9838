"""What a multirun will do, known before it starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ohlora.errors import UserError
from ohlora.records.manifest import Manifest, read_manifest
from ohlora.report.comparison.comparison import read_comparison
from ohlora.running.attempt import Place
from ohlora.studies.sweep import expand, find_planned_run, plan_sweep


def test_repeats_make_no_arms_of_their_own() -> None:
    jobs, _ = plan_sweep(["backend=hf,unsloth", "repeat=0,1", "trainer=smoke"])
    assert [(job.arm, job.repeat) for job in jobs] == [
        ("backend=hf", 0), ("backend=hf", 1), ("backend=unsloth", 0), ("backend=unsloth", 1),
    ]  # fmt: skip
    assert len({job.run_id for job in jobs}) == 4


def test_arms_are_any_overrides() -> None:
    jobs, _ = plan_sweep(["lora=r16,r64", "trainer.learning_rate=1e-4,2e-4"])
    assert [job.arm for job in jobs][:2] == [
        "lora=r16,trainer.learning_rate=0.0001",
        "lora=r16,trainer.learning_rate=0.0002",
    ]


def test_hydras_own_keys_are_no_jobs() -> None:
    jobs, swept = expand(["backend=hf,unsloth", "hydra.sweep.dir=x"])
    assert jobs == [["backend=hf"], ["backend=unsloth"]] and swept == {"backend"}


def test_the_plan_is_found_again_by_the_jobs_overrides(tmp_path: Path) -> None:
    overrides = ["backend=hf,unsloth", "trainer=smoke"]
    jobs, _ = plan_sweep(overrides)
    Manifest("sweep", jobs, overrides, mlflow_parent="parent").write(tmp_path / "s")
    arm, place = find_planned_run(tmp_path / "s", ["trainer=smoke", "backend=unsloth"])
    assert (arm, place) == ("backend=unsloth", Place(jobs[1].run_id, 1, "parent"))
    with pytest.raises(UserError, match="the manifest has no run with backend=other"):
        find_planned_run(tmp_path / "s", ["backend=other"])
    comparison = read_comparison(tmp_path / "s")
    assert [(arm.name, arm.planned) for arm in comparison.arms] == [("backend=hf", 1), ("backend=unsloth", 1)]


def test_a_plan_holds_what_each_run_asks_for(tmp_path: Path) -> None:
    """What all ask alike is written once; nothing volatile is in it, such as where a server with a password is."""
    overrides = ["lora=r16,r64", "trainer=smoke", "tracking.uri=http://me:secret@mlflow"]
    jobs, _ = plan_sweep(overrides)
    assert [job.asked["lora.rank"] for job in jobs] == [16, 64] and jobs[0].asked["trainer.name"] == "smoke"
    Manifest("sweep", jobs, ["-m"]).write(tmp_path / "s")
    read = read_manifest(tmp_path / "s")
    assert read and read.jobs == jobs
    raw = json.loads((tmp_path / "s" / "manifest.json").read_text())
    own = [set(entry["asked"]) for entry in raw["planned"]]
    assert own[0] == own[1] and "lora.rank" in own[0] and not own[0] & set(raw["asked"])
    assert raw["asked"]["model.name"] == "gemma3-270m" and not any(key.startswith("tracking") for key in raw["asked"])
    assert not Path(raw["asked"]["data.path"]).suffix  # the file's hash


def test_an_older_plan_is_read_and_goes_on(tmp_path: Path) -> None:
    old = {"schema": 1, "kind": "sweep", "planned": [{"arm": "a", "run_id": "a-r0", "overrides": []}]}
    (tmp_path / "manifest.json").write_text(json.dumps(old))
    before = read_manifest(tmp_path)
    assert before and before.jobs[0].asked == {}
    jobs, _ = plan_sweep(["lora=r16,r64", "trainer=smoke"])
    Manifest("sweep", [*before.jobs, *jobs], []).write(tmp_path)
    after = read_manifest(tmp_path)
    assert after and [job.asked for job in after.jobs] == [{}, *(job.asked for job in jobs)]
