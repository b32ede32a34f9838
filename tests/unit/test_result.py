"""Identity and result of a run: the contract that other programs read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ohlora.config.compose import compose_config
from ohlora.config.identity import run_id, slug
from ohlora.planning.plan import to_plain
from ohlora.records.result import PhaseRecord, Result, exit_code, find_result, read_result


def test_the_same_configuration_has_the_same_identity() -> None:
    base = to_plain(compose_config([]))
    assert run_id(base, "backend=hf", 0) == run_id(
        to_plain(compose_config(["outputs=x", "study=y", "tracking=none"])), "backend=hf", 0
    )
    assert run_id(base, "backend=hf", 0).startswith("hf-r0-")
    others = {
        run_id(base, "backend=hf", 1),
        run_id(base, "other", 0),
        run_id(to_plain(compose_config(["lora.rank=8"])), "backend=hf", 0),
        run_id(to_plain(compose_config(["seed=1"])), "backend=hf", 0),
    }
    assert len(others | {run_id(base, "backend=hf", 0)}) == 5


@pytest.mark.parametrize(
    ("arm", "name"),
    [("backend=hf,lora=r16", "hf-r16"), ("data.path=/a b/c.csv", "a-b-c.csv"), ("", "run"), ("../..", "run")],
)
def test_arms_become_file_names(arm: str, name: str) -> None:
    assert slug(arm) == name


def test_phases_are_merged(tmp_path: Path) -> None:
    result = Result("id", "failed", "benchmark", "backend=hf")
    result.add(
        "infer",
        PhaseRecord("finished", None, {"load/load_s": 1.0, "infer/x": 2.0}, {"backend": "hf", "infer": {"a": 1}}),
    )
    result.add(
        "train", PhaseRecord("oom", {"code": "c", "text": "t"}, {"load/load_s": 3.0}, {"backend": "hf", "train": {}})
    )
    assert result.metrics == {"load/load_s": 1.0, "infer/x": 2.0, "train_load/load_s": 3.0}
    assert result.effective == {"backend": "hf", "infer": {"a": 1}, "train": {}}
    assert (result.status, result.reason) == ("oom", {"code": "c", "text": "t"})
    result.write(tmp_path)
    raw = json.loads((tmp_path / "result.json").read_text())
    assert raw["schema"] == 1
    raw["from_the_future"] = True
    (tmp_path / "result.json").write_text(json.dumps(raw))
    assert read_result(tmp_path / "result.json") == result


@pytest.mark.parametrize("text", ['{"schema": 2}', "[]", '{"schema": 1}', '{"schema": 1, "run_id": "a", "sta'])
def test_foreign_results_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(ValueError):
        read_result(tmp_path / "result.json")
    assert find_result(tmp_path) is None


@pytest.mark.parametrize("wrong", [{"metrics": [1]}, {"metrics": {"a/b": "fast"}}, {"timings": None}, {"repeat": "1"}])
def test_results_of_other_types_are_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    whole = {"schema": 1, "run_id": "a", "status": "finished", "task": "train", "arm": "b"}
    (tmp_path / "result.json").write_text(json.dumps({**whole, **wrong}))
    with pytest.raises(ValueError, match="wrong types for schema 1: " + next(iter(wrong))):
        read_result(tmp_path / "result.json")
    assert find_result(tmp_path) is None


def test_a_result_is_found_in_its_folder(tmp_path: Path) -> None:
    assert find_result(tmp_path) is None and find_result(tmp_path / "none") is None
    result = Result("id", "finished", "benchmark", "backend=hf")
    result.write(tmp_path)
    assert find_result(tmp_path) == result
    (tmp_path / "result.json").write_bytes(b"\xff")
    assert find_result(tmp_path) is None


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        (["finished", "finished"], 0),
        (["finished", "unsupported"], 2),
        (["unsupported", "oom"], 1),
        (["failed", "cancelled"], 130),
        ([], 1),
    ],
)
def test_exit_codes(statuses: list[str], code: int) -> None:
    assert exit_code([Result("id", status, "train", "a") for status in statuses]) == code


def test_bad_input_found_in_a_child_is_the_users_to_fix() -> None:
    assert exit_code([Result("id", "failed", "train", "a", reason={"code": "bad_input", "text": ""})]) == 2
