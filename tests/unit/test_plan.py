"""What follows from a configuration is worked out once, by parent and child, and the child sees the same rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ohlora.config.compose import compose_config
from ohlora.data import rows
from ohlora.errors import UserError
from ohlora.files import write_json
from ohlora.planning.plan import Plan, plan_run
from ohlora.records.layout import PLAN_FILE
from ohlora.studies.sweep import plan_sweep
from ohlora.tasks.job import check_data


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Counter[str]:
    """How often a data file is parsed, and hashed."""
    calls: Counter[str] = Counter()
    for name in ("load_rows", "sha256_file"):
        monkeypatch.setattr(rows, name, _count(calls, name, getattr(rows, name)))
    monkeypatch.chdir(tmp_path)
    return calls


def _count(calls: Counter[str], name: str, right: Callable[..., Any]) -> Callable[..., Any]:
    def count(*given: Any) -> Any:
        calls[name] += 1
        return right(*given)

    return count


def test_an_estimate_for_every_model_parses_the_data_once(counted: Counter[str], ohlora) -> None:
    assert ohlora("task=estimate", "device=cuda", "device_memory_gib=2").code == 0
    assert counted["load_rows"] == 1


def test_a_run_parses_the_data_once(counted: Counter[str], ohlora) -> None:
    """Of a child that fails at once; what is counted is the parent's work."""
    ran = ohlora("launch.prefix=[/bin/false]", "tracking=none", "device_memory_gib=64")
    assert ran.code == 1 and "prepare: failed" in ran.err
    assert counted == {"load_rows": 1, "sha256_file": 1}


def test_a_sweep_parses_each_data_choice_once(counted: Counter[str], tmp_path: Path) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_text("prompt,response\n" + "".join(f"q{n},a{n}\n" for n in range(10)))
    few = ["trainer.train_rows=4", "trainer.eval_rows=1", "data.manifest=null"]
    jobs, _ = plan_sweep([f"data.path=null,{mine}", "lora=r16,r32,r64", *few])
    assert len(jobs) == 6 and counted == {"load_rows": 2, "sha256_file": 2}


def test_parts_are_kept_until_a_fresh_plan_is_asked_for(counted: Counter[str]) -> None:
    plan = plan_run(compose_config([]))
    assert plan.run_rows is plan.run_rows and plan.model_folder is plan.model_folder
    again = plan.refresh()
    assert again == plan and again.run_rows is not plan.run_rows
    assert counted["load_rows"] == 1  # files are shared


def test_bad_data_is_said_each_time(tmp_path: Path) -> None:
    plan = plan_run(compose_config(["data=csv", f"data.path={tmp_path / 'none.csv'}"]))
    for _ in range(2):
        with pytest.raises(UserError, match="cannot be read"):
            _ = plan.run_rows


def test_a_child_notices_that_the_data_was_changed(tmp_path: Path) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_text("prompt,response\nq,a\nq2,a2\n")
    settings = ["data=csv", f"data.path={mine}"]
    check_data(plan_run(compose_config(settings)), tmp_path)  # an attempt of an earlier version
    write_json(tmp_path / PLAN_FILE, {"data": plan_run(compose_config(settings)).data_hash})
    check_data(plan_run(compose_config(settings)), tmp_path)
    mine.write_text("prompt,response\nq,b\nq2,a2\n")
    with pytest.raises(UserError, match="has changed since this run started"):
        check_data(plan_run(compose_config(settings)), tmp_path)


def test_an_identity_is_not_moved_by_the_plan() -> None:
    """As versions before gave it, so that an earlier run is found again."""
    assert plan_run(compose_config([])).identify() == RUN_ID
    assert plan_run(compose_config(["lora.rank=8"]), arm="x", repeat=1).identify() != RUN_ID
    assert Plan(plan_run(compose_config([])).config).arm == "backend=hf"


RUN_ID = "hf-r0-61cab611a1"
