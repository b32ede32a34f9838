"""Which rows are for training, validation and test: by the words of a split column, or drawn."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ohlora.config.choices import Split
from ohlora.config.schema import SplitValuesConfig

if TYPE_CHECKING:
    from ohlora.data.rows import Row

USUAL = {
    Split.train.value: ("train", "training"),
    Split.validation.value: ("valid", "val", "validation", "dev"),
    Split.test.value: ("test", "eval"),
}
DRAWN_SHARE = 0.2  # of the rows of each category, for validation, where there is no split column


def name_splits(values: SplitValuesConfig) -> dict[str, str]:
    """Word of a split column (lower case) -> train, validation or test; `values` take the place of the usual words."""
    words: dict[str, str] = {}
    asked = {"train": values.train, "validation": values.validation, "test": values.test}
    for split, usual in USUAL.items():
        given = asked[split]
        words |= {word.strip().lower(): split for word in (usual if given is None else given)}
    return words


def explain_split(word: str) -> str:
    """Why a word of a split column is refused, and how to have it accepted."""
    if not word:
        return "the split is empty; write train, validation or test there"
    allowed = "; ".join(f"{split}: {', '.join(usual)}" for split, usual in USUAL.items())
    plain = re.fullmatch(r"[A-Za-z0-9_.-]+", word)
    listed = f"data.split_values.train=[train,{word}]" if plain else f"""'data.split_values.train=["train","{word}"]'"""
    return f"split {word!r} is unknown ({allowed}); to count it as training rows give {listed}"


def read_file_splits(files: Iterable[str], values: SplitValuesConfig) -> dict[str, str]:
    """File name -> the split that it says, as in train.jsonl and my-valid.csv; empty unless every file says one."""
    words = name_splits(values)
    found = {file: {words[part] for part in re.split(r"[\W\d_]+", file.lower()) if part in words} for file in files}
    return {file: min(splits) for file, splits in found.items()} if all(len(s) == 1 for s in found.values()) else {}


def draw_validation(rows: Sequence[Row], seed: int) -> tuple[set[int], bool]:
    """The indices of the rows to hold out, and whether one of their questions is also in training.

    A fifth of each category, drawn by `seed`; rows that ask the same stay together; rows without an answer are held
    out in any case, since nothing can be learned from them.
    """
    silent = {index for index, row in enumerate(rows) if not row.response}
    groups: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, row in enumerate(rows):
        if index not in silent:
            groups[row.category][_key(row)].append(index)
    held: set[int] = set()
    generator = random.Random(seed)
    for category in sorted(groups):
        asked = sorted(groups[category].values())
        generator.shuffle(asked)
        goal = round(DRAWN_SHARE * sum(map(len, asked)))
        for group in asked:
            if len(group) <= goal:
                held |= set(group)
                goal -= len(group)
    answered = len(rows) - len(silent)
    if not held and not silent and answered > 1:
        smallest = min((group for by_key in groups.values() for group in by_key.values()), key=len)
        held = set(smallest) if len(smallest) < answered else {answered - 1}
    asked_in_training = {_key(row) for index, row in enumerate(rows) if index not in held | silent}
    return held | silent, any(_key(rows[index]) in asked_in_training for index in held | silent)


def _key(row: Row) -> str:
    history = "".join(turn.text for turn in row.history)
    return re.sub(r"[\W_]+", "", f"{history}{row.memory}{row.prompt}".lower()) or row.prompt
