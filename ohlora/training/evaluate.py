"""The one evaluator of all back ends: token-weighted loss, computed here and not by any trainer."""

from __future__ import annotations

from typing import Any

from ohlora.data.tokens import Example
from ohlora.training.batches import Collator


def evaluate(model: Any, examples: list[Example], pad_id: int, batch_size: int) -> float:
    """Mean loss in nats per token over all loss-carrying tokens; logits in float32. Leaves the model in eval mode."""
    import torch
    from torch.nn.functional import cross_entropy

    collate = Collator(pad_id)
    model.eval()
    device = next(model.parameters()).device
    total, tokens = 0.0, 0
    with torch.no_grad():
        for start in range(0, len(examples), batch_size):
            rows = [{"input_ids": e.input_ids, "labels": e.labels} for e in examples[start : start + batch_size]]
            batch = {key: value.to(device) for key, value in collate(rows).items()}
            labels = batch.pop("labels")[:, 1:]
            logits = model(**batch, use_cache=False).logits[:, :-1]
            chosen = labels != -100
            total += float(cross_entropy(logits[chosen].float(), labels[chosen], reduction="sum"))
            tokens += int(chosen.sum())
    return total / tokens
