"""The evaluation of all back ends: token-weighted loss, computed here and not by a trainer."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from ohlora.data.tokens import IGNORED, Example

MOST_LOGITS = 48  # positions of a batch whose logits are computed, at most, unless a single row has more


def evaluate(model: Any, examples: list[Example]) -> float:
    """Mean loss in nats per token over all tokens with loss; logits in float32. Rows without such tokens are left out.

    Rows of like length go together, padded on the right, which no earlier token sees; only the ends of the rows, from
    the first token with loss, pass the LM head. Leaves the model in eval mode.
    """
    import torch
    from torch.nn.functional import cross_entropy

    model.eval()
    device = next(model.parameters()).device
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    selects = "logits_to_keep" in inspect.signature(base.forward).parameters
    total, tokens = 0.0, 0
    with torch.no_grad():
        for batch in _batches([example for example in examples if has_loss(example)]):
            longest, first = len(batch[-1].input_ids), min(map(_first_loss, batch))
            ids, labels, mask = (
                torch.tensor([values + [fill] * (longest - len(values)) for values in rows], device=device)
                for rows, fill in (
                    ([e.input_ids for e in batch], 0),
                    ([e.labels for e in batch], IGNORED),
                    ([[1] * len(e.input_ids) for e in batch], 0),
                )
            )
            kept = {"logits_to_keep": longest - first + 1} if selects else {}
            logits = model(input_ids=ids, attention_mask=mask, use_cache=False, **kept).logits
            targets = labels[:, first:]
            chosen = targets != IGNORED
            picked = logits[:, -len(targets[0]) - 1 : -1][chosen].float()
            total += float(cross_entropy(picked, targets[chosen], reduction="none").double().sum())
            tokens += int(chosen.sum())
    return total / tokens


def has_loss(example: Example) -> bool:
    """False for a row that has only a prompt."""
    return any(label != IGNORED for label in example.labels[1:])


def _first_loss(example: Example) -> int:
    """The first position with loss; never 0, since nothing precedes it."""
    return next(i for i, label in enumerate(example.labels) if i and label != IGNORED)


def _batches(examples: list[Example]) -> Iterator[list[Example]]:
    """Rows of like length, the shortest first, so many that their logits stay few."""
    batch: list[Example] = []
    for example in sorted(examples, key=lambda e: len(e.input_ids)):
        grown = [*batch, example]
        if batch and len(grown) * (len(example.input_ids) - min(map(_first_loss, grown)) + 1) > MOST_LOGITS:
            yield batch
            grown = [example]
        batch = grown
    if batch:
        yield batch
