"""Batches: padded on the right, hashed one by one, counted."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from ohlora.data.tokens import IGNORED


@dataclass(frozen=True)
class BatchCount:
    """Positions fed, tokens that are no padding, tokens that carry loss (the first position never does)."""

    positions: int
    tokens: int
    loss_tokens: int


class Collator:
    """Rows of ids and labels -> tensors of shape (rows, longest row). Keeps a count and a hash of every batch."""

    def __init__(self, pad_id: int) -> None:
        self.pad_id = pad_id
        self.counts: list[BatchCount] = []
        self.batch_hashes: list[str] = []

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
        self.counts.append(BatchCount(longest * len(rows), sum(map(sum, mask)), carrying))
        self.batch_hashes.append(hashlib.sha256(repr((ids, labels)).encode()).hexdigest()[:16])
        return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask), "labels": torch.tensor(labels)}

    def hash(self) -> str:
        """One hash over all batches in the order they were fed."""
        return hashlib.sha256("".join(self.batch_hashes).encode()).hexdigest()
