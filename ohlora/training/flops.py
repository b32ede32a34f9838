"""The FLOPs of LoRA training, counted from the model's layers: the minimum for any implementation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ohlora.training.batches import Batch

FROZEN = 4  # per weight: 2 forward, 2 for the gradient of the input; a frozen weight's own gradient is not needed
TRAINED = 6  # and 2 for the gradient of the weight


@dataclass(frozen=True)
class TrainingCost:
    """FLOPs per token (without padding), and per token with loss."""

    per_token: int
    per_loss_token: int

    def of(self, batches: Iterable[Batch]) -> int:
        return sum(b.tokens * self.per_token + b.loss_tokens * self.per_loss_token for b in batches)


def training_cost(model: Any) -> TrainingCost:
    """The cost of a PEFT model's linear layers.

    The LM head counts only for tokens with loss, also if it shares the embedding's weights; embedding lookup is free.
    Not counted: attention scores, norms, activations, the optimizer, DoRA's extra work (the norms of the adapted
    weights, once per step and layer), and recomputation by gradient checkpointing. 4-bit weights count by their
    logical size.
    """
    from torch import nn

    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    head = [module for module in base.get_output_embeddings().modules() if isinstance(module, nn.Linear)]
    # Only the decoder: an image tower is not used for text. A class without a named decoder is its own.
    body = [module for module in base.get_decoder().modules() if isinstance(module, nn.Linear) and module not in head]
    return TrainingCost(sum(map(_layer, body)), sum(map(_layer, head)))


def _layer(linear: Any) -> int:
    rate = TRAINED if linear.weight.requires_grad else FROZEN
    return rate * linear.in_features * linear.out_features
