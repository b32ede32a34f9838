"""Cross-entropy of the tokens with loss only: the LM head once forward and once backward, never all logits at a time.

TRL's chunked_nll rounds the number of these tokens up to whole chunks and computes each chunk's logits twice, with an
accuracy and an entropy. Liger's kernel does what is done here, on a GPU only. Imported only in a child, after torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from ohlora.data.tokens import IGNORED
from ohlora.estimate.parts import BLOCK_LOGITS, CHUNK_LOGITS, GPU_BLOCK_LOGITS


@dataclass(frozen=True)
class LogitScaling:
    """What a model does to its logits: multiplies them by `scale`, then caps them softly at ±`softcap`."""

    scale: float = 1.0
    softcap: float | None = None

    @classmethod
    def of(cls, config: Any) -> LogitScaling:
        """Read from a model's config, under the names that TRL's own loss knows."""
        text = config.get_text_config()
        scale = getattr(text, "logit_scale", None)
        if scale is None:
            scale = getattr(text, "output_multiplier", None)
        return cls(1.0 if scale is None else scale, getattr(text, "final_logit_softcapping", None))

    def apply(self, logits: Tensor) -> Tensor:
        """In place."""
        if self.scale != 1.0:
            logits.mul_(self.scale)
        return logits if self.softcap is None else logits.div_(self.softcap).tanh_().mul_(self.softcap)

    def back(self, gradient: Tensor, logits: Tensor) -> Tensor:
        """The gradient before scaling, from that of the final `logits`; in place."""
        if self.softcap is not None:
            gradient.mul_(1 - (logits / self.softcap).square_())
        return gradient if self.scale == 1.0 else gradient.mul_(self.scale)


def head_loss(
    hidden: Tensor, labels: Tensor, weight: Tensor, bias: Tensor | None = None, scaling: LogitScaling | None = None
) -> Tensor:
    """The sum of the negative log-likelihoods in nats, a float32 scalar; a token at position i is read from i - 1.

    hidden: (rows, positions, width), the decoder's output; labels: (rows, positions), IGNORED where there is no loss;
    weight: (vocabulary, width) and bias: (vocabulary,) of the LM head, both frozen.
    """
    assert not weight.requires_grad, "the gradient of the LM head's own weight is not computed"
    targets = labels[:, 1:].reshape(-1)
    chosen = (targets != IGNORED).nonzero().squeeze(1)
    states = hidden[:, :-1].reshape(-1, hidden.shape[-1]).index_select(0, chosen)
    loss: Tensor = _HeadLoss.apply(states, targets[chosen], weight, bias, scaling or LogitScaling())
    return loss


class _HeadLoss(torch.autograd.Function):
    """Computes the gradient together with the loss, so that no logits are kept for the backward pass."""

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, targets: Tensor, weight: Tensor, bias: Tensor | None, scaling: LogitScaling
    ) -> Tensor:
        needs_gradient = ctx.needs_input_grad[0]
        states = states.to(weight.dtype)
        total = states.new_zeros((), dtype=torch.float32)
        blocks = BLOCK_LOGITS if weight.device.type == "cpu" else GPU_BLOCK_LOGITS
        gradients, size = [], max(1, blocks // len(weight))
        workspace = torch.empty(2, size, len(weight), dtype=torch.float32, device=weight.device)
        for part, wanted in zip(
            *(t.split(max(1, CHUNK_LOGITS // len(weight))) for t in (states, targets)), strict=True
        ):
            logits = linear(part, weight, bias)
            for block, ids in zip(logits.split(size), wanted.split(size), strict=True):
                total += _loss_and_gradient(block, ids[:, None], scaling, needs_gradient, workspace[:, : len(ids)])
            if needs_gradient:
                gradients.append(logits @ weight)  # they hold their gradients now
        if needs_gradient:
            ctx.save_for_backward(torch.cat(gradients) if gradients else torch.zeros_like(states))
        return total

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        wanted = gradient.float() * (upstream[0] / _enlargement(gradient))
        return wanted.to(gradient.dtype), None, None, None, None


def _loss_and_gradient(
    logits: Tensor, targets: Tensor, scaling: LogitScaling, needs_gradient: bool, workspace: Tensor
) -> Tensor:
    """The summed loss of some rows of logits, which are replaced by their gradient if that is needed.

    `workspace`: (2, rows, vocabulary) in float32, overwritten.
    """
    scaled = scaling.apply(workspace[0].copy_(logits))
    logarithms = torch.log_softmax(scaled, 1, out=workspace[1])
    loss = -logarithms.gather(1, targets).sum()
    if needs_gradient:
        gradient = logarithms.exp_()
        gradient.scatter_add_(1, targets, gradient.new_full(targets.shape, -1.0))
        logits.copy_(scaling.back(gradient, scaled).mul_(_enlargement(logits)))
    return loss


def _enlargement(values: Tensor) -> float:
    """float16 cannot hold the gradient of an unlikely token before the loss scaler has enlarged it."""
    return 2.0**10 if values.dtype == torch.float16 else 1.0
