"""Make the packaged set ohlora/data/persona.jsonl from rows/*.jsonl and the corrected 405 pairs of ohlora.csv.

Run: python experiments/persona-rows/build.py
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))  # from a checkout, without installing

from ohlora.files import encode_json, read_jsonl, write_atomic  # noqa: E402
from ohlora.persona.generate import interleave  # noqa: E402
from ohlora.persona.items import read_items, remove_items  # noqa: E402

PAIRS = ROOT / "ohlora" / "data" / "ohlora.csv"
PACKAGED = ROOT / "ohlora" / "data" / "persona.jsonl"
SPLITS = ("train", "validation", "test")
# Categories of the two sources that ask for the same thing, so that 25 kinds remain.
KINDS = {
    "greeting": "greetings",
    "memory_use": "memory_read",
    "self": "facts",
    "love": "closeness",
    "meeting": "closeness",
}
WORD_GAMES = "word_games"  # rows/games.jsonl; `games` of the pairs is talk about video games


def build_rows() -> list[dict[str, Any]]:
    """All rows, each split interleaved by category."""
    rows = [*_corrected_pairs(), *_written_rows()]
    return [row for split in SPLITS for row in interleave([row for row in rows if row["split"] == split])]


def _corrected_pairs() -> list[dict[str, Any]]:
    with PAIRS.open(encoding="utf-8-sig", newline="") as file:
        pairs = list(csv.DictReader(file))
    for one in read_jsonl(HERE / "corrections.jsonl"):
        pair = next(pair for pair in pairs if pair["id"] == one["id"])
        if pair[one["field"]] != one["old"]:
            raise ValueError(f"corrections.jsonl: {one['id']}.{one['field']} is no longer {one['old']!r}")
        pair[one["field"]] = one["new"]
    return [_make_row(pair["id"], pair, [pair["prompt"], pair["response"]], _item_checks(pair)) for pair in pairs]


def _item_checks(pair: dict[str, str]) -> dict[str, Any]:
    """A pair that writes an item is checked for exactly that one; one that reads an item, for a word of it."""
    items = [str(item) for item in read_items(pair["response"])]
    words = [word for item in read_items(pair["memory"]) for word in item.value.split()]
    taken = [word for word in words if word in remove_items(pair["response"])]
    checks = {"writes": items[0] if items else ""} if items or pair["memory"] else {}
    return checks | ({"uses": "|".join(taken)} if taken and not items else {})


def _written_rows() -> list[dict[str, Any]]:
    rows = []
    for path in sorted((HERE / "rows").glob("*.jsonl")):
        for number, row in enumerate(read_jsonl(path), 1):
            turns = list(row["turns"])
            turns[-2] = f"{row['time']} {turns[-2]}".strip()
            kind = WORD_GAMES if path.stem == "games" else row["category"]
            rows.append(_make_row(f"{path.stem}-{number:03d}", {**row, "category": kind}, turns, row["checks"]))
    return rows


def _make_row(name: str, row: dict[str, Any], turns: list[str], checks: dict[str, Any]) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {
        "id": name,
        "split": row["split"],
        "category": KINDS.get(row["category"], row["category"]),
        "memory": row["memory"],
        "messages": [{"role": roles[index % 2], "content": turn} for index, turn in enumerate(turns)],
        "checks": checks,
    }


def encode_rows(rows: list[dict[str, Any]]) -> str:
    return "".join(encode_json(row) + "\n" for row in rows)


if __name__ == "__main__":
    made = build_rows()
    write_atomic(PACKAGED, encode_rows(made))
    counts = ", ".join(f"{split} {sum(row['split'] == split for row in made)}" for split in SPLITS)
    print(f"{PACKAGED.relative_to(ROOT)}: {len(made)} rows ({counts})")
