"""The loss over the tokens that carry one, against PyTorch's cross-entropy of all logits.

Run: python -m pytest tests/integration/test_head_loss.py
"""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from ohlora.data.tokens import IGNORED
from ohlora.training import head_loss as module
from ohlora.training.head_loss import LogitScaling, head_loss

VOCABULARY, WIDTH = 50, 16


def whole(hidden: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, scaling):
    logits = torch.nn.functional.linear(hidden, weight, bias).float() * scaling.scale
    if scaling.softcap:
        logits = scaling.softcap * torch.tanh(logits / scaling.softcap)
    return cross_entropy(logits[:, :-1].reshape(-1, VOCABULARY), labels[:, 1:].reshape(-1), reduction="sum")


@pytest.mark.parametrize("scaling", [LogitScaling(), LogitScaling(0.5), LogitScaling(1.0, 3.0), LogitScaling(0.5, 3.0)])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("chunk", [2**26, 4 * VOCABULARY], ids=["one chunk", "chunks of 4"])
def test_loss_and_gradient_are_those_of_all_logits(
    scaling: LogitScaling, biased: bool, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_LOGITS", chunk)
    monkeypatch.setattr(module, "BLOCK_LOGITS", 3 * VOCABULARY)
    torch.manual_seed(0)
    weight = torch.randn(VOCABULARY, WIDTH)
    bias = torch.randn(VOCABULARY) if biased else None
    labels = torch.randint(0, VOCABULARY, (3, 9))
    labels[:, :4] = IGNORED
    labels[1, 6:] = IGNORED
    hidden = torch.randn(3, 9, WIDTH, requires_grad=True)
    found = head_loss(hidden, labels, weight, bias, scaling)
    (ours,) = torch.autograd.grad(found / 7, hidden)
    expected = whole(hidden, labels, weight, bias, scaling)
    (theirs,) = torch.autograd.grad(expected / 7, hidden)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert ours[:, :3].abs().max() == 0  # positions before a token without loss


def test_an_unlikely_token_has_a_finite_loss() -> None:
    weight = torch.eye(4) * 1000
    hidden = torch.tensor([[[1.0, 0, 0, 0], [0, 0, 0, 0]]])
    labels = torch.tensor([[IGNORED, 3]])
    assert head_loss(hidden, labels, weight).item() == 1000


def test_float16_keeps_the_gradients_of_unlikely_tokens() -> None:
    """Before the loss scaler has enlarged them, which float16 training does afterwards."""
    torch.manual_seed(0)
    weight, hidden = torch.randn(VOCABULARY, WIDTH).half(), torch.randn(1, 4, WIDTH).half() * 3
    labels = torch.randint(0, VOCABULARY, (1, 4))
    gradients = []
    for dtype, scale in ((torch.float16, 2.0**16), (torch.float32, 1.0)):
        states = hidden.to(dtype).requires_grad_()
        loss = head_loss(states, labels, weight.to(dtype)) / 512
        (found,) = torch.autograd.grad(loss * scale, states)
        gradients.append(found.float() / scale)
    torch.testing.assert_close(*gradients, rtol=1e-2, atol=1e-5)


def test_a_batch_without_loss_is_zero() -> None:
    hidden = torch.randn(1, 3, WIDTH, requires_grad=True)
    loss = head_loss(hidden, torch.full((1, 3), IGNORED), torch.randn(VOCABULARY, WIDTH))
    loss.backward()
    assert loss.item() == 0 and hidden.grad is not None and hidden.grad.abs().max() == 0


def test_a_trained_head_is_refused() -> None:
    with pytest.raises(AssertionError, match="LM head"):
        head_loss(torch.randn(1, 2, WIDTH), torch.zeros(1, 2, dtype=torch.long), torch.randn(4, WIDTH).requires_grad_())
