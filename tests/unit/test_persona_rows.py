"""The persona's rows: format, memory keys, speech level, duplicates, and that each answer passes its own checks.

Run: python -m pytest tests/unit/test_persona_rows.py
"""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from ohlora.persona.card import (
    holds_any,
    list_facts,
    load_card,
    names_number,
    refuses,
    says_unknown,
    states_fact,
)
from ohlora.persona.items import find_item_faults, read_items, remove_items
from ohlora.persona.speech import _load_kiwi, speech_level

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "experiments" / "persona-rows"
FILES = sorted((FOLDER / "rows").glob("*.jsonl"))
CARD = load_card()
KEYS = set(CARD.memory_keys)
TIME = re.compile(r"\(지금은 [월화수목금토일]요일 (새벽|아침|오전|점심|오후|저녁|밤)\)")
NOUNS = ("싸움",)  # end in -ㅁ and are nouns
FIELDS = {"split", "category", "intent", "memory", "time", "turns", "checks"}
LONGEST = 110  # characters of an answer


def read(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """(place, row) of every line."""
    lines = path.read_text("utf-8").splitlines()
    return [(f"{path.name}:{number}", json.loads(line)) for number, line in enumerate(lines, 1)]


ROWS = [row for path in FILES for row in read(path)]


def has(answer: str, words: str) -> bool:
    return holds_any(answer, words.split("|"))


def passes(row: dict[str, Any]) -> bool:
    """Does the last answer pass its checks?"""
    answer, checks = row["turns"][-1], row["checks"]
    items, shown = [str(item) for item in read_items(answer)], remove_items(answer)
    return all(
        (
            "writes" not in checks or items == ([checks["writes"]] if checks["writes"] else []),
            "writes" in checks or not items,
            "fact" not in checks or states_fact(CARD, checks["fact"], shown),
            has(answer, checks.get("contains", "")),
            has(answer, checks.get("uses", "")),
            not checks.get("ignores") or not has(answer, checks["ignores"]),
            "refuses" not in checks or refuses(CARD, answer) is checks["refuses"],
            not checks.get("unknown") or says_unknown(CARD, answer),
            not checks.get("crisis") or names_number(CARD, "self_harm", answer),
            has(answer, checks.get("emergency", "")),
        )
    )


def test_the_readme_counts_them() -> None:
    text = (FOLDER / "README.md").read_text("utf-8")
    splits = ("train", "validation", "test")
    for path in FILES:
        counts = [sum(row["split"] == split for _, row in read(path)) for split in splits]
        assert f"| [{path.stem}](rows/{path.name}) | {' | '.join(map(str, counts))} |" in text
    total = [sum(row["split"] == split for _, row in ROWS) for split in splits]
    assert f"{sum(total):,} rows" in text and "{:,} to train on, {} for validation, {} to test".format(*total) in text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_row_has_the_format(path: Path) -> None:
    for place, row in read(path):
        assert set(row) == FIELDS and row["split"] in ("train", "validation", "test"), place
        turns = row["turns"]
        assert len(turns) >= 2 and len(turns) % 2 == 0 and all(turn and turn == turn.strip() for turn in turns), place
        assert not row["time"] or TIME.fullmatch(row["time"]), place
        assert unicodedata.is_normalized("NFC", json.dumps(row, ensure_ascii=False)), place


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_memory_has_the_keys_of_the_card(path: Path) -> None:
    for place, row in read(path):
        items = read_items(row["memory"])
        assert row["memory"] == " ".join(map(str, items)), place
        assert len(items) <= 2 and {item.key for item in items} <= KEYS, place
        for answer in row["turns"][1::2]:
            assert not find_item_faults(answer, CARD.memory_keys, CARD.forget_key), place


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_answer_is_short_polite_and_passes_its_checks(path: Path) -> None:
    for place, row in read(path):
        for answer in row["turns"][1::2]:
            assert len(answer) <= LONGEST and "당신" not in answer, (place, answer)
            assert speech_level(answer) == "haeyo", (place, answer)
        assert passes(row), (place, row["turns"][-1], row["checks"])


def ends_inflected(value: str) -> bool:
    last = _load_kiwi().tokenize(value)[-1]
    return last.tag.startswith("E") and last.form in ("ᆷ", "음") and not value.endswith(NOUNS)


def test_a_value_is_a_noun_phrase() -> None:
    """No inflected word made a noun, as in 헤어짐: a small model copies nouns better than it inflects."""
    corrected = [json.loads(line) for line in (FOLDER / "corrections.jsonl").read_text("utf-8").splitlines()]
    texts = [(place, text) for place, row in ROWS for text in (row["memory"], *row["turns"])]
    texts += [(one["id"], one["new"]) for one in corrected]
    for place, text in texts:
        for item in read_items(text):
            assert not ends_inflected(item.value), (place, str(item))
    assert ends_inflected("남자친구랑 헤어짐") and ends_inflected("월세 오름")


def test_the_card_for_writers_is_the_card() -> None:
    text = (FOLDER / "card.md").read_text("utf-8")
    assert set(re.findall(r"^\| ([a-z_]+) \|", text, re.MULTILINE)) - {"key"} == set(list_facts(CARD))
    assert " · ".join(CARD.memory_keys) in text.replace(" ·\n", " · ")


def test_the_check_of_checks_can_fail() -> None:
    row = {"turns": ["나 내일 시험이야", "푹 자요. [내일 일정: 시험]"], "checks": {"writes": "[내일 일정: 시험]"}}
    assert passes(row)
    assert not passes({**row, "checks": {"writes": ""}}) and not passes({**row, "checks": {}})
    assert not passes({**row, "checks": {**row["checks"], "contains": "109|119"}})
    assert not passes({**row, "checks": {**row["checks"], "ignores": "시험"}})


def test_no_prompt_stands_twice() -> None:
    """Not across splits either, nor in the shipped set."""
    seen: dict[str, str] = {}
    with (ROOT / "ohlora" / "data" / "ohlora.csv").open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            seen[re.sub(r"[\W_]", "", row["memory"] + row["prompt"])] = row["id"]
    for place, row in ROWS:
        key = re.sub(r"[\W_]", "", row["memory"] + row["time"] + "".join(row["turns"][:-1]))
        assert key not in seen, (place, seen[key])
        seen[key] = place


def test_every_fact_and_key_is_taught_and_tested() -> None:
    facts = list_facts(CARD)
    for split, least in (("train", 5), ("test", 2)):
        rows = [row for _, row in ROWS if row["split"] == split]
        for fact in facts:
            assert sum(row["checks"].get("fact") == fact for row in rows) >= least, (split, fact)
    written = [row["checks"]["writes"] for _, row in ROWS if row["split"] == "train" and row["checks"].get("writes")]
    assert {item.key for one in written for item in read_items(one)} >= KEYS


def test_corrections_fit_the_shipped_set() -> None:
    with (ROOT / "ohlora" / "data" / "ohlora.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    lines = (FOLDER / "corrections.jsonl").read_text("utf-8").splitlines()
    for line in lines:
        one = json.loads(line)
        assert set(one) == {"id", "field", "old", "new", "why"} and one["old"] != one["new"], one["id"]
        assert rows[one["id"]][one["field"]] == one["old"], one["id"]
    assert len({(json.loads(line)["id"], json.loads(line)["field"]) for line in lines}) == len(lines) > 0
