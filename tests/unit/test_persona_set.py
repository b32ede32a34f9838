"""The packaged persona set: what build.py makes, read as `data=persona` reads it.

Run: python -m pytest tests/unit/test_persona_set.py
"""

from __future__ import annotations

import importlib.util
import itertools
from pathlib import Path
from types import ModuleType

import pytest

from ohlora.config.schema import DataConfig
from ohlora.data.notes import Notes
from ohlora.data.rows import Row, load_rows
from ohlora.data.sources import SETS

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "persona-rows" / "build.py"
FIRST = 25  # rows that a quick judgement asks


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_persona_rows", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return load_rows(DataConfig("persona", "jsonl"))


def test_the_packaged_file_is_what_the_script_makes() -> None:
    script = load_script()
    assert SETS["persona"].read_text("utf-8") == script.encode_rows(script.build_rows())


def test_the_data_option_reads_every_row(rows: list[Row]) -> None:
    notes = Notes()
    assert len(load_rows(DataConfig("persona", "jsonl"), notes)) == len(rows) == 405 + 1612
    assert not notes.dropped
    assert {split: sum(row.split == split for row in rows) for split in ("train", "validation", "test")} == {
        "train": 271 + 1121,
        "validation": 67 + 129,
        "test": 67 + 362,
    }
    by_id = {row.id: row for row in rows}
    assert by_id["train-022"].checks == {"writes": "[전공: 심리학]"}
    assert by_id["facts-001"].checks == {"fact": "name"} and by_id["crisis-001"].checks["crisis"] is True
    assert any(row.history and row.checks.get("contains") for row in rows if row.category == "follow_up")


def test_a_time_tag_stands_before_the_last_prompt(rows: list[Row]) -> None:
    told = [row for row in rows if row.prompt.startswith("(지금은 ")]
    assert len(told) >= 80 and not any(turn.text.startswith("(지금은 ") for row in rows for turn in row.history)
    both = next(row for row in told if row.memory)
    assert both.question.startswith(f"{both.memory} (지금은 ")


@pytest.mark.parametrize("split", ["validation", "test"])
def test_the_first_held_out_rows_hold_every_kind(rows: list[Row], split: str) -> None:
    kinds = {row.category for row in rows}
    assert len(kinds) == FIRST
    assert {row.category for row in [row for row in rows if row.split == split][:FIRST]} == kinds


def test_interleaving_spreads_a_category_over_the_whole_split(rows: list[Row]) -> None:
    places = [index for index, row in enumerate(r for r in rows if r.split == "train") if row.category == "facts"]
    gaps = [after - before for before, after in itertools.pairwise(places)]
    assert max(gaps) < 30
