"""JSON that every reader takes, also where a number is not finite; and files that older versions wrote."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

import ohlora
from ohlora.files import encode_json, read_jsonl, restore_numbers, write_json
from ohlora.records.result import PhaseRecord, Result, read_phase, read_result
from ohlora.running.progress import show_progress
from ohlora.tasks.job import Job

PACKAGE = Path(ohlora.__file__).parent
# Hashes and keys in memory, whose text must not change.
OWN_ENCODING = {"files.py", "config/identity.py", "report/selection/trials.py"}


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} stands bare")


def strict(text: str) -> object:
    return json.loads(text, parse_constant=refuse)


def test_numbers_that_are_not_finite_are_named() -> None:
    value = {"a": [1.5, math.nan, {"b": math.inf}], "c": (-math.inf, "NaN of a text", None, True)}
    text = encode_json(value)
    assert strict(text) == {"a": [1.5, "NaN", {"b": "Infinity"}], "c": ["-Infinity", "NaN of a text", None, True]}
    back = restore_numbers(json.loads(text))
    assert math.isnan(back["a"][1]) and back["a"][2] == {"b": math.inf}
    assert back["c"] == [-math.inf, "NaN of a text", None, True]


def test_a_result_keeps_a_loss_that_is_not_finite(tmp_path: Path) -> None:
    result = Result("id", "finished", "benchmark", "backend=hf", metrics={"eval/eval_loss": math.nan, "x": math.inf})
    result.parity = {"losses": [1.0, math.nan], "grad_norms": [-math.inf], "batches": ["ab"]}
    result.write(tmp_path)
    strict((tmp_path / "result.json").read_text("utf-8"))
    read = read_result(tmp_path / "result.json")
    assert math.isnan(read.metrics["eval/eval_loss"]) and read.metrics["x"] == math.inf
    assert read.parity["losses"][0] == 1.0 and math.isnan(read.parity["losses"][1])
    assert read.parity["grad_norms"] == [-math.inf] and read.parity["batches"] == ["ab"]


def test_a_phase_keeps_it_too(tmp_path: Path) -> None:
    write_json(tmp_path / "train.json", vars(PhaseRecord("finished", metrics={"eval/eval_loss": math.nan})))
    strict((tmp_path / "train.json").read_text("utf-8"))
    assert math.isnan(read_phase(tmp_path / "train.json").metrics["eval/eval_loss"])


def test_bare_numbers_of_older_files_are_read(tmp_path: Path) -> None:
    result = Result("id", "finished", "benchmark", "backend=hf", metrics={"eval/eval_loss": 1.0})
    result.write(tmp_path)
    path = tmp_path / "result.json"
    path.write_text(path.read_text("utf-8").replace('"eval/eval_loss": 1.0', '"eval/eval_loss": NaN'), "utf-8")
    assert math.isnan(read_result(path).metrics["eval/eval_loss"])
    (tmp_path / "metrics.jsonl").write_text('{"key": "train/loss", "value": NaN, "step": 1, "time": 1.0}\n')
    assert math.isnan(read_jsonl(tmp_path / "metrics.jsonl")[0]["value"])


def test_a_child_writes_valid_lines_and_the_screen_shows_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events: list[str] = []
    with (tmp_path / "metrics.jsonl").open("w", encoding="utf-8") as metrics:
        job = Job(None, tmp_path, "train", lambda event: events.append(encode_json(event)), metrics)  # type: ignore[arg-type]
        job.metric("train/loss", math.nan, step=1)
        job.stage("training", total=1, unit="step")
        job.advance(1, loss=math.nan)
        job.note("out of memory: 4 prompts at once from here")
    assert strict((tmp_path / "metrics.jsonl").read_text("utf-8"))["value"] == "NaN"  # type: ignore[index]
    with show_progress("run") as show:
        for event in events:
            show.event(strict(event))  # type: ignore[arg-type]
    said = capsys.readouterr().err
    assert "training 1/1, loss nan" in said and "  : out of memory: 4 prompts at once from here\n" in said


def test_nothing_else_encodes_json() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(r"\bjson\.dumps?\(", path.read_text("utf-8"))
    }
    assert found == OWN_ENCODING
