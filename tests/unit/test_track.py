"""MLflow on a real temporary store: what is logged, how runs end, and that tracking never ends a run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ohlora.config.compose import compose_config
from ohlora.config.schema import Config
from ohlora.errors import UserError
from ohlora.planning.plan import to_plain
from ohlora.planning.validate import validate
from ohlora.records.result import Result, read_result
from ohlora.report.folder import write_report
from ohlora.tracking.fetch import fetch
from ohlora.tracking.mlflow_tracker import Tracker, open_tracker
from ohlora.tracking.store import store_uri


@pytest.fixture
def config() -> Config:
    return validate(compose_config([]))


@pytest.fixture
def tracker(empty_store: None, config: Config) -> Tracker:
    said: list[str] = []
    made = open_tracker(config, said.append)
    assert made is not None and said == []
    return made


def begin(tracker: Tracker, config: Config, attempt: Path, parent: str | None = None) -> str:
    attempt.mkdir()
    result = Result("id", "failed", "benchmark", "backend=hf", requested=to_plain(compose_config([])))
    tracker.begin(config, result, attempt, parent)
    assert tracker.run_id
    return tracker.run_id


def line(path: Path, **fields: object) -> None:
    with (path / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": None, "time": 1.5, **fields}) + "\n")


def test_a_run_from_begin_to_end(tracker: Tracker, config: Config, tmp_path: Path) -> None:
    parent = tracker.begin_sweep("sweep", "note")
    run = begin(tracker, config, tmp_path / "a", parent)
    line(tmp_path / "a", key="train/loss", value=4.0, step=1)
    line(tmp_path / "a", key="eval/eval_loss", value=3.9, step=1)
    tracker.feed()
    tracker.feed()
    line(tmp_path / "a", key="train/loss", value=3.0, step=2)
    line(tmp_path / "a", key="eval/eval_loss", value=3.9)
    (tmp_path / "a" / "metrics.jsonl").open("a").write('{"key": "torn')
    result = Result(
        "id", "finished", "benchmark", "backend=hf", metrics={"infer/infer_time_s": 2.0, "eval/eval_loss": 3.9}
    )
    result.write(tmp_path / "a")
    tracker.end(result, tmp_path / "a")
    logged = tracker.client.get_run(run)
    assert logged.info.status == "FINISHED"
    assert logged.data.tags["mlflow.parentRunId"] == parent
    assert logged.data.params["lora.rank"] == "64" and logged.data.params["backend.name"] == "hf"
    assert logged.data.metrics == {"train/loss": 3.0, "eval/eval_loss": 3.9, "infer/infer_time_s": 2.0}
    assert [m.value for m in tracker.client.get_metric_history(run, "train/loss")] == [4.0, 3.0]
    assert {item.path for item in tracker.client.list_artifacts(run)} == {"metrics.jsonl", "result.json", "table.md"}


@pytest.mark.parametrize(
    ("status", "logged"),
    [
        ("failed", "FAILED"),
        ("oom", "FAILED"),
        ("unsupported", "FAILED"),
        ("timeout", "FAILED"),
        ("killed", "KILLED"),
        ("cancelled", "KILLED"),
    ],
)
def test_every_end_is_recorded(tracker: Tracker, config: Config, tmp_path: Path, status: str, logged: str) -> None:
    run = begin(tracker, config, tmp_path / "a")
    result = Result("id", status, "benchmark", "backend=hf", reason={"code": "c", "text": "why"})
    tracker.end(result, tmp_path / "a")
    found = tracker.client.get_run(run)
    assert found.info.status == logged
    assert (found.data.tags["status"], found.data.tags["reason"]) == (status, "why")


def test_a_run_whose_process_is_gone_is_closed_by_the_next(tracker: Tracker, config: Config, tmp_path: Path) -> None:
    run = begin(tracker, config, tmp_path / "a")
    tracker.client.set_tag(run, "ohlora.pid", str(2**22 + 1))
    alive = begin(tracker, config, tmp_path / "b")
    open_tracker(config, print)
    assert tracker.client.get_run(run).info.status == "KILLED"
    assert tracker.client.get_run(alive).info.status == "RUNNING"


def test_a_broken_store_is_said_and_nothing_more(config: Config, tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is no database" * 100)
    said: list[str] = []
    assert open_tracker(config, said.append) is None
    assert said and said[0].startswith("MLflow: ")


def test_the_store_is_what_a_bare_mlflow_ui_opens(config: Config, tmp_path: Path) -> None:
    assert store_uri(config) == f"sqlite:///{tmp_path / 'mlflow.db'}"
    other = replace(config, tracking=replace(config.tracking, uri="http://127.0.0.1:5000"))
    assert store_uri(other) == "http://127.0.0.1:5000"
    assert open_tracker(replace(config, tracking=replace(config.tracking, name="none")), print) is None


def test_a_store_is_made_where_there_is_none(config: Config, tmp_path: Path) -> None:
    said: list[str] = []
    made = open_tracker(config, said.append)
    assert made and said == [] and (tmp_path / "mlflow.db").is_file()
    assert made.client.get_experiment_by_name(config.tracking.experiment)


def test_a_comparison_goes_on_in_its_run_and_says_what_is_broken(tracker: Tracker, tmp_path: Path) -> None:
    """The second call opens the first one's run again; parity and verdicts are tags, the report is attached."""
    folder = tmp_path / "study"
    parent = tracker.begin_sweep("study", "note")
    tracker.end_sweep(folder, None, finished=False)
    assert parent and tracker.begin_sweep("study", "note", parent) == parent
    for backend, tokens in (("hf", "a"), ("unsloth", "b")):
        result = Result(backend, "finished", "benchmark", backend, metrics={"infer/infer_time_s": 1.0})
        result.hashes, result.effective = {"tokens": tokens}, {"backend": backend}
        (folder / backend).mkdir(parents=True)
        result.write(folder / backend)
    tracker.end_sweep(folder, write_report(folder), finished=True)
    run = tracker.client.get_run(parent)
    assert run.info.status == "FINISHED"
    assert run.data.tags["parity"].startswith("NOT COMPARABLE: unsloth: tokens a / b")
    assert run.data.tags["verdict.infer.infer_time_s"] == "not_comparable (one pair)"
    assert "**NOT COMPARABLE**" in run.data.tags["mlflow.note.content"]
    names = {item.path for item in tracker.client.list_artifacts(parent)}
    assert names >= {"comparison.md", "comparison.html", "comparison.csv", "comparison.json", "ratios.svg"}


def test_another_store_does_not_know_the_run(tracker: Tracker) -> None:
    made = tracker.begin_sweep("study", "note", "f" * 32)
    assert made and made != "f" * 32


def test_the_runs_of_a_store_as_a_folder(tracker: Tracker, config: Config, tmp_path: Path) -> None:
    parent = tracker.begin_sweep("study", "note")
    child = open_tracker(config, lambda text: None)
    assert parent and child
    for attempt, status in (("a", "killed"), ("b", "finished")):  # of one run; the later one counts
        begin(child, config, tmp_path / attempt, parent)
        result = Result("id", status, "benchmark", "backend=hf", metrics={"infer/infer_time_s": 2.0})
        result.write(tmp_path / attempt)
        child.end(result, tmp_path / attempt)
    folder = fetch(parent, tmp_path / "taken", None)
    assert folder.name == f"study-{parent[:8]}" and read_result(folder / "id" / "result.json") == result
    with pytest.raises(UserError, match="not found; give the id of a run"):
        fetch("nope", tmp_path / "taken", None)
