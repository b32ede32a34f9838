"""Batches: padded on the right, hashed and counted; and the number of batches per step."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

from ohlora.data.tokens import IGNORED


@dataclass(frozen=True)
class Batch:
    """Positions, tokens without padding, tokens with loss (never the first position), and a hash."""

    positions: int
    tokens: int
    loss_tokens: int
    hash: str


class Collator:
    """Rows of ids and labels -> tensors of shape (rows, longest row). Keeps counts and a hash of every batch.

    The data loader prepares a batch or two ahead of the steps; `ohlora.training.steps` knows which were used.
    """

    def __init__(self, pad_id: int) -> None:
        self.pad_id = pad_id
        self.made: list[Batch] = []

    def __call__(self, rows: list[dict[str, list[int]]]) -> dict[str, Any]:
        import torch

        longest = max(len(row["input_ids"]) for row in rows)
        ids, labels, mask = [], [], []
        for row in rows:
            gap = longest - len(row["input_ids"])
            ids.append(row["input_ids"] + [self.pad_id] * gap)
            labels.append(row["labels"] + [IGNORED] * gap)
            mask.append([1] * len(row["input_ids"]) + [0] * gap)
        carrying = sum(label != IGNORED for line in labels for label in line[1:])
        digest = hashlib.sha256(repr((ids, labels)).encode()).hexdigest()
        self.made.append(Batch(longest * len(rows), sum(map(sum, mask)), carrying, digest))
        return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask), "labels": torch.tensor(labels)}


def batches_of_step(step: int, rows: int, batch_size: int, accumulation: int) -> int:
    """The number of batches in optimizer step `step` (from 1): the last step of an epoch may have fewer."""
    batches = math.ceil(rows / batch_size)
    steps = math.ceil(batches / accumulation)
    last = (step - 1) % steps == steps - 1
    return batches - accumulation * (steps - 1) if last else accumulation
