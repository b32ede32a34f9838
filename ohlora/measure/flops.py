"""FLOPs that LoRA training needs, counted from the model's layers: what any implementation has to compute."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ohlora.training.batches import Batch

FROZEN = 4  # per weight: 2 forward, 2 for the gradient of the input; a frozen weight's own gradient is not needed
TRAINED = 6  # and 2 for the gradient of the weight


@dataclass(frozen=True)
class TrainingCost:
    """FLOPs per token that is no padding, and per token that carries loss."""

    per_token: int
    per_loss_token: int

    def of(self, batches: Iterable[Batch]) -> int:
        return sum(b.tokens * self.per_token + b.loss_tokens * self.per_loss_token for b in batches)


def training_cost(model: Any) -> TrainingCost:
    """The cost of a PEFT model's linear layers.

    The LM head counts for tokens that carry loss alone, also where its weights are the embedding's; looking up the
    embedding costs nothing. Left out: attention scores, norms, activations, the optimizer, what DoRA does beyond LoRA
    (the norms of the adapted weights, once a step and layer, whatever the number of tokens), and everything that is
    computed twice, as gradient checkpointing does. 4-bit weights count by their logical size.
    """
    from torch import nn

    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    head = [module for module in base.get_output_embeddings().modules() if isinstance(module, nn.Linear)]
    # The decoder alone: an image tower has nothing to do for text. A class that names none is its own decoder.
    body = [module for module in base.get_decoder().modules() if isinstance(module, nn.Linear) and module not in head]
    return TrainingCost(sum(map(_layer, body)), sum(map(_layer, head)))


def _layer(linear: Any) -> int:
    rate = TRAINED if linear.weight.requires_grad else FROZEN
    return rate * linear.in_features * linear.out_features
