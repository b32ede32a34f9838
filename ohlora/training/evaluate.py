"""The evaluation of all back ends: token-weighted loss, computed here and not by a trainer."""

from __future__ import annotations

from typing import Any

from ohlora.data.tokens import IGNORED, Example


def evaluate(model: Any, examples: list[Example]) -> float:
    """Mean loss in nats per token over all tokens with loss; logits in float32, one row at a time.

    One row needs no padding and the least memory. Leaves the model in eval mode.
    """
    import torch
    from torch.nn.functional import cross_entropy

    model.eval()
    device = next(model.parameters()).device
    total, tokens = 0.0, 0
    with torch.no_grad():
        for example in examples:
            ids = torch.tensor([example.input_ids], device=device)
            labels = torch.tensor(example.labels[1:], device=device)
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits[0, :-1]
            chosen = labels != IGNORED
            total += float(cross_entropy(logits[chosen].float(), labels[chosen], reduction="sum"))
            tokens += int(chosen.sum())
    return total / tokens
