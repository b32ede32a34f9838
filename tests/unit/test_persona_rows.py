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

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "experiments" / "persona-rows"
FILES = sorted((FOLDER / "rows").glob("*.jsonl"))
KEYS = {
    "이름",
    "나이",
    "생일",
    "사는 곳",
    "직업",
    "학교",
    "전공",
    "가족",
    "반려동물",
    "친구",
    "연애",
    "좋아하는 음식",
    "싫어하는 음식",
    "좋아하는 음악",
    "좋아하는 것",
    "싫어하는 것",
    "취미",
    "알레르기",
    "건강",
    "고민",
    "목표",
    "공부",
    "요즘 하는 것",
    "오늘 일정",
    "내일 일정",
    "주말 계획",
    "다음 일정",
}
FORGET = "삭제"
ITEM = re.compile(r"\[([^\[\]:]+): ([^\[\]]+)\]")
TIME = re.compile(r"\(지금은 [월화수목금토일]요일 (새벽|아침|오전|점심|오후|저녁|밤)\)")
FORMAL = re.compile(r"(습니다|입니다|합니다|됩니다)[.!?]?$")
FIELDS = {"split", "category", "intent", "memory", "time", "turns", "checks"}
LONGEST = 110  # characters of an answer


def read(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """(place, row) of every line."""
    lines = path.read_text("utf-8").splitlines()
    return [(f"{path.name}:{number}", json.loads(line)) for number, line in enumerate(lines, 1)]


ROWS = [row for path in FILES for row in read(path)]


def shown(text: str) -> str:
    """An answer without the item that it writes."""
    return ITEM.sub("", text).strip()


def has(answer: str, words: str) -> bool:
    return any(word in answer for word in words.split("|"))


def passes(row: dict[str, Any]) -> bool:
    """Does the last answer pass the checks that words can decide?"""
    answer, checks = row["turns"][-1], row["checks"]
    items = [found.group(0) for found in ITEM.finditer(answer)]
    return all(
        (
            "writes" not in checks or items == ([checks["writes"]] if checks["writes"] else []),
            "writes" in checks or not items,
            has(answer, checks.get("contains", "")),
            has(answer, checks.get("uses", "")),
            not checks.get("ignores") or not has(answer, checks["ignores"]),
            not checks.get("crisis") or "109" in answer,
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
    card = (FOLDER / "card.md").read_text("utf-8")
    assert all(key in card for key in KEYS)
    for place, row in read(path):
        read_items = ITEM.findall(row["memory"])
        assert row["memory"] == " ".join(f"[{key}: {value}]" for key, value in read_items), place
        assert len(read_items) <= 2 and {key for key, _ in read_items} <= KEYS, place
        for answer in row["turns"][1::2]:
            for key, value in ITEM.findall(answer):
                assert value in KEYS if key == FORGET else key in KEYS, place
            assert len(ITEM.findall(answer)) <= 1 and (not ITEM.search(answer) or answer.endswith("]")), place


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_answer_is_short_polite_and_passes_its_checks(path: Path) -> None:
    for place, row in read(path):
        for answer in row["turns"][1::2]:
            assert len(answer) <= LONGEST and not FORMAL.search(shown(answer)) and "당신" not in answer, (place, answer)
        assert passes(row), (place, row["turns"][-1], row["checks"])


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
    card = (FOLDER / "card.md").read_text("utf-8")
    facts = set(re.findall(r"^\| ([a-z_]+) \|", card, re.MULTILINE)) - {"key"}
    for split, least in (("train", 5), ("test", 2)):
        rows = [row for _, row in ROWS if row["split"] == split]
        for fact in facts:
            assert sum(row["checks"].get("fact") == fact for row in rows) >= least, (split, fact)
    written = [row["checks"]["writes"] for _, row in ROWS if row["split"] == "train" and row["checks"].get("writes")]
    assert {found[0] for one in written for found in ITEM.findall(one)} >= KEYS


def test_corrections_fit_the_shipped_set() -> None:
    with (ROOT / "ohlora" / "data" / "ohlora.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    lines = (FOLDER / "corrections.jsonl").read_text("utf-8").splitlines()
    for line in lines:
        one = json.loads(line)
        assert set(one) == {"id", "field", "old", "new", "why"} and one["old"] != one["new"], one["id"]
        assert rows[one["id"]][one["field"]] == one["old"], one["id"]
    assert len({(json.loads(line)["id"], json.loads(line)["field"]) for line in lines}) == len(lines) > 0
