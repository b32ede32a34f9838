"""The memory items of an answer, `[key: value]`: read, removed, and held against the rules of the card."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# Small models put blanks anywhere, and the colon of a Korean keyboard's full-width mode.
ITEM = re.compile(r"\[\s*([^\[\]:：\n]*[^\[\]:：\s])\s*[:：]\s*([^\[\]\n]*[^\[\]\s])\s*\]")


@dataclass(frozen=True)
class Item:
    """Something to keep about the user; with the forget key, `value` is the key to forget."""

    key: str
    value: str

    def __str__(self) -> str:
        return f"[{self.key}: {self.value}]"


def read_items(answer: str) -> list[Item]:
    """All items of a text, in order, wherever they stand."""
    return [Item(key, value) for key, value in ITEM.findall(answer)]


def remove_items(answer: str) -> str:
    """What the user sees: the text without its items."""
    return re.sub(r"[ \t]{2,}", " ", ITEM.sub("", answer)).strip()


def find_item_faults(answer: str, keys: Sequence[str], forget_key: str) -> list[str]:
    """What breaks the rules of writing: a key that is not on the closed list, several items, one that is not last."""
    items = read_items(answer)
    faults = [
        f"{item} is about no known key"
        for item in items
        if (item.value if item.key == forget_key else item.key) not in keys
    ]
    if len(items) > 1:
        faults.append(f"{len(items)} items, at most one is written")
    if items and not answer.rstrip().endswith("]"):
        faults.append(f"{items[-1]} is not at the end")
    return faults
