"""Links, views, inputs and the store that MLflow's UI is pointed at, on real temporary stores."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest

from ohlora.config.compose import compose_config
from ohlora.config.schema import Config
from ohlora.errors import UserError
from ohlora.planning.plan import Plan, to_plain
from ohlora.planning.validate import validate
from ohlora.records.layout import MLFLOW_RUN
from ohlora.records.result import Result
from ohlora.running.attempt import feed_between_phases
from ohlora.tracking import ui
from ohlora.tracking.links import LOCAL, Shown, compare_link, link_lines, print_links, run_link
from ohlora.tracking.mlflow_tracker import Tracker, open_tracker
from ohlora.tracking.store import KIND, MODEL_TRAINING, connect, has_ui, store_uri
from ohlora.tracking.studies import newest_study
from ohlora.tracking.view import TAG, saved_view, table_metrics


@pytest.fixture
def config(empty_store: None) -> Config:
    return validate(compose_config([]))


@pytest.fixture
def tracker(config: Config) -> Tracker:
    made = open_tracker(config, print)
    assert made is not None
    return made


def write_run(config: Config, attempt: Path, parent: str | None, run_id: str, status: str = "finished") -> str:
    """One run from begin to end; its id in MLflow."""
    made = open_tracker(config, print)
    assert made
    attempt.mkdir(parents=True)
    result = Result(run_id, status, "benchmark", "backend=hf", requested=to_plain(compose_config([])))
    made.begin(config, result, attempt, parent, Plan(config).run_rows)
    assert made.run_id
    run = made.run_id
    result.metrics = {"infer/peak_rss_mib": 10.0, "infer/infer_time_s": 1.0, "train/train_time_s": 2.0}
    made.end(result, attempt)
    return run


def address(line: str) -> tuple[str, dict[str, list[str]]]:
    """(route, parameters) behind the `#` of the link that a line ends with."""
    link = line.rsplit(maxsplit=1)[-1]
    assert link.startswith(f"{LOCAL}/#/")
    parts = urlsplit(urlsplit(link).fragment)
    return parts.path, parse_qs(parts.query)


def test_a_comparison_ends_with_links_to_its_runs(tracker: Tracker, config: Config, tmp_path: Path) -> None:
    parent = tracker.begin_sweep("study", "note")
    old = write_run(config, tmp_path / "a1", parent, "a", "failed")
    first = write_run(config, tmp_path / "a2", parent, "a")
    second = write_run(config, tmp_path / "b1", parent, "b")
    head, view, compare, report = tracker.end_sweep(tmp_path, None, finished=True)
    assert "make ui" in head and "python -m ohlora.tracking.ui" in head
    experiment = tracker.experiment_id
    route, values = address(view)
    assert route == f"/experiments/{experiment}/runs"
    assert values == {"viewStateShareKey": [parent], "workflowType": ["machine_learning"]}
    route, values = address(compare)
    assert route == "/compare-runs" and json.loads(values["experiments"][0]) == [experiment]
    assert sorted(json.loads(values["runs"][0])) == sorted([first, second]) and old != first
    assert address(report)[0] == f"/experiments/{experiment}/runs/{parent}"
    saved = json.loads(tracker.client.get_experiment(experiment).tags[f"{TAG}{parent}"])
    state = json.loads(saved["state"])
    found = tracker.client.search_runs([experiment], state["searchFilter"])
    assert saved["name"] == "study" and {run.info.run_id for run in found} == {old, first, second}
    columns = ["infer/peak_rss_mib", "infer/infer_time_s", "train/train_time_s"]
    assert state["selectedColumns"][:3] == [f"metrics.`{key}`" for key in columns]
    assert state["orderByKey"] != "attributes.start_time"  # by time the UI folds the runs under their parent


def test_the_newest_comparison_is_found_before_a_newer_run(tracker: Tracker, config: Config, tmp_path: Path) -> None:
    assert newest_study(tracker.client) is None
    alone = write_run(config, tmp_path / "x", None, "x")
    found = newest_study(tracker.client)
    assert found and (found.run, found.view, list(found.compared)) == (alone, "", [])
    parent = tracker.begin_sweep("study", "note")
    runs = [write_run(config, tmp_path / name, parent, name) for name in ("a", "b")]
    tracker.end_sweep(tmp_path, None, finished=True)
    write_run(config, tmp_path / "y", None, "y")
    found = newest_study(tracker.client)
    assert found and (found.run, found.view, sorted(found.compared)) == (parent, parent, sorted(runs))


def test_a_single_run_ends_with_its_link(config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(config, tmp_path / "a", None, "a")
    print_links(config, tmp_path / "a")
    printed = capsys.readouterr()
    assert printed.out == "" and address(printed.err.splitlines()[-1])[0].endswith(f"/runs/{run}")
    print_links(replace(config, tracking=replace(config.tracking, name="none")), tmp_path / "a")
    (tmp_path / "a" / MLFLOW_RUN).unlink()
    print_links(config, tmp_path / "a")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("sqlite:////tmp/mlflow.db", True),
        ("postgresql+psycopg2://user:secret@host/db", True),
        ("https://mlflow.example.org/", True),
        ("databricks", False),
        ("file:///tmp/mlruns", False),
    ],
)
def test_links_only_where_a_ui_shows_the_store(uri: str, shown: bool) -> None:
    lines = link_lines(uri, Shown("1", "r"), given=True)
    assert has_ui(uri) is bool(lines) is shown and "secret" not in "".join(lines)
    if uri.startswith("https"):
        assert lines == ["MLflow:", f"  the run  {run_link('https://mlflow.example.org', '1', 'r')}"]


def test_the_address_of_a_comparison_is_one_word() -> None:
    link = compare_link(LOCAL, "1", ["a", "b"])
    values = "runs=%5B%22a%22%2C%22b%22%5D&experiments=%5B%221%22%5D&workflowType=machine_learning"
    assert link == f"{LOCAL}/#/compare-runs?{values}"


def test_columns_are_those_of_the_table() -> None:
    there = ["eval/eval_loss", "infer/infer_time_s", "infer/peak_rss_mib", "infer/peak_vram_mib", "train/train_time_s"]
    assert table_metrics(there) == ["infer/peak_vram_mib", "infer/infer_time_s", "train/train_time_s", "eval/eval_loss"]
    tag, value = saved_view("study", "p", there, 1)
    assert tag == f"{TAG}p" and set(json.loads(value)) == {"name", "createdAt", "updatedAt", "state"}


def test_the_environment_names_the_store_where_the_configuration_does_not(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mlflow.db").rename(tmp_path / "other.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'other.db'}")
    assert store_uri(config) == f"sqlite:///{tmp_path / 'other.db'}"
    write_run(config, tmp_path / "a", None, "a")
    assert newest_study(connect(store_uri(config))) and not (tmp_path / "mlflow.db").exists()
    given = replace(config, tracking=replace(config.tracking, uri="http://127.0.0.1:1"))
    assert store_uri(given) == "http://127.0.0.1:1"


def test_a_deleted_experiment_is_restored_and_reported(tracker: Tracker, config: Config, tmp_path: Path) -> None:
    tracker.client.delete_experiment(tracker.experiment_id)
    said: list[str] = []
    again = open_tracker(config, said.append)
    assert again and again.experiment_id == tracker.experiment_id
    assert len(said) == 1 and "had been deleted; it is restored" in said[0]
    run = write_run(config, tmp_path / "a", None, "a")
    assert again.client.get_run(run).info.status == "FINISHED"


def test_the_experiment_is_one_of_model_training(tracker: Tracker, config: Config) -> None:
    assert tracker.client.get_experiment(tracker.experiment_id).tags[KIND] == MODEL_TRAINING
    tracker.client.set_experiment_tag(tracker.experiment_id, KIND, "genai_development")  # somebody's own choice stays
    open_tracker(config, print)
    assert tracker.client.get_experiment(tracker.experiment_id).tags[KIND] == "genai_development"


def test_data_and_command_are_recorded(
    tracker: Tracker, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["run", "backend=hf", "models=/tmp/a b"])
    run = tracker.client.get_run(write_run(config, tmp_path / "a", None, "a"))
    inputs = {one.tags[0].value: one.dataset for one in run.inputs.dataset_inputs}
    rows = Plan(config).run_rows
    sizes = {context: json.loads(found.profile or "")["num_rows"] for context, found in inputs.items()}
    assert sizes == {
        "training": len(rows.train),
        "validation": len(rows.validation),
        "inference": len(rows.prompts),
    }
    assert inputs["training"].name == "ohlora.csv (training)"
    assert len({found.digest for found in inputs.values()}) == 3
    assert run.data.tags["ohlora.command"] == "python -m ohlora.run backend=hf 'models=/tmp/a b'"
    assert run.data.tags["mlflow.source.name"] == "python -m ohlora.run backend=hf …"  # nothing behind a slash
    assert run.data.tags["mlflow.source.type"] == "LOCAL" and len(run.data.tags["mlflow.source.git.commit"]) == 40


def test_mlflow_is_fed_between_phases_only(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even a training of hours feeds it: whatever the parent does then, the child is being timed."""
    seen: list[str] = []
    monkeypatch.setattr(tracker, "feed", lambda: seen.append("feed"))
    monkeypatch.setattr("time.monotonic", count(0, 3600).__next__)
    sink = feed_between_phases(lambda event: seen.append(event["event"]), tracker)
    for event in ("process", "stage", "progress", "end") * 2:
        sink({"event": event})
    assert seen == ["process", "stage", "progress", "end", "feed"] * 2


class _Answers(http.server.BaseHTTPRequestHandler):
    body = b"{}"

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port on which some other program answers."""
    with http.server.HTTPServer(("127.0.0.1", 0), _Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_a_taken_port_is_reported(
    tracker: Tracker, config: Config, tmp_path: Path, taken_port: int, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run = write_run(config, tmp_path / "a", None, "a")
    with pytest.raises(UserError, match=f"port {taken_port} of 127.0.0.1 is in use by another program"):
        ui.show_ui(store_uri(config), taken_port, browser=False)
    monkeypatch.setattr(_Answers, "body", f'{{"run": {{"info": {{"run_id": "{run}"}}}}}}'.encode())
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert ui.show_ui(store_uri(config), taken_port, browser=True) == 0
    assert f"is already running on port {taken_port}" in capsys.readouterr().out
    assert opened == [run_link(f"http://127.0.0.1:{taken_port}", tracker.experiment_id, run)]


def test_the_server_ends_with_us(
    tracker: Tracker, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(config, tmp_path / "a", None, "a")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "api/2.0/mlflow/runs").mkdir(parents=True)
    (tmp_path / "api/2.0/mlflow/runs/get").write_text(run)
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    monkeypatch.setattr(ui, "server_command", lambda port: command)
    servers: list[psutil.Process] = []

    def announce(links: list[tuple[str, str]], browser: bool) -> None:
        servers.extend(psutil.Process().children())
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(ui, "announce", announce)
    with pytest.raises(KeyboardInterrupt):
        ui.show_ui(store_uri(config), port, browser=False)
    assert len(servers) == 1 and not servers[0].is_running()


def test_what_the_ui_cannot_show_is_reported(tracker: Tracker, config: Config, tmp_path: Path) -> None:
    for uri, text in (
        (f"sqlite:///{tmp_path / 'none.db'}", "no run has been tracked in this folder"),
        (store_uri(config), "has no runs yet"),
        ("file:///tmp/mlruns", "no MLflow UI can show this store"),
    ):
        with pytest.raises(UserError, match=text):
            ui.find_newest(uri)
    assert not (tmp_path / "none.db").exists()


def test_a_browser_opens_at_a_desktop_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    assert not ui.at_desktop()
    monkeypatch.setenv("DISPLAY", ":0")
    assert ui.at_desktop()
    monkeypatch.setenv("SSH_CONNECTION", "a b")
    assert not ui.at_desktop()
