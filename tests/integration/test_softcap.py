"""Gemma 2's two soft caps, in a model that really reaches them: both back ends against a forward pass written here.

Run: python -m pytest tests/integration/test_softcap.py
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import run_cli
from torch.nn.functional import cross_entropy, gelu

from ohlora.backends import LoadSpec
from ohlora.backends.hf import HFBackend
from ohlora.data.tokens import IGNORED

ATTENTION_CAP, FINAL_CAP = 50.0, 30.0
IDS = [2, *range(40, 60)]


@dataclass
class Reference:
    """Logits of a sequence, and the largest attention score and logit before each was capped."""

    logits: Any
    score: float
    logit: float


def capped(values: Any, cap: float | None) -> Any:
    return values if cap is None else cap * torch.tanh(values / cap)


def reference(model: Any, ids: list[int], attention_cap: float | None, final_cap: float | None) -> Reference:
    """Gemma 2 over one sequence, from the weights alone."""
    c, w = model.config, dict(model.named_parameters())
    heads, kv, size, length = c.num_attention_heads, c.num_key_value_heads, c.head_dim, len(ids)

    def norm(x: Any, name: str) -> Any:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + c.rms_norm_eps) * (1 + w[f"{name}.weight"])

    def rotated(x: Any) -> Any:
        angle = torch.arange(length)[:, None] * 10000.0 ** (-torch.arange(0, size, 2) / size)
        first, second = x.chunk(2, dim=-1)
        return torch.cat(
            [first * angle.cos() - second * angle.sin(), second * angle.cos() + first * angle.sin()], dim=-1
        )

    x = w["model.embed_tokens.weight"][ids] * math.sqrt(c.hidden_size)
    largest = 0.0
    for number in range(c.num_hidden_layers):
        layer = f"model.layers.{number}"
        h = norm(x, f"{layer}.input_layernorm")
        q, k, v = (h @ w[f"{layer}.self_attn.{n}_proj.weight"].T for n in "qkv")
        q, k, v = (t.view(length, -1, size).transpose(0, 1) for t in (q, k, v))
        k, v = (t.repeat_interleave(heads // kv, dim=0) for t in (rotated(k), v))
        scores = rotated(q) @ k.transpose(1, 2) / math.sqrt(c.query_pre_attn_scalar)
        largest = max(largest, scores.abs().max().item())
        unseen = torch.ones(length, length).triu(1).bool()
        if c.layer_types[number] == "sliding_attention":
            unseen |= torch.ones(length, length).tril(-c.sliding_window).bool()
        weights = capped(scores, attention_cap).masked_fill(unseen, -math.inf).softmax(-1)
        h = (weights @ v).transpose(0, 1).reshape(length, -1) @ w[f"{layer}.self_attn.o_proj.weight"].T
        x = x + norm(h, f"{layer}.post_attention_layernorm")
        h = norm(x, f"{layer}.pre_feedforward_layernorm")
        gate, up, down = (w[f"{layer}.mlp.{n}_proj.weight"].T for n in ("gate", "up", "down"))
        x = x + norm((gelu(h @ gate, approximate="tanh") * (h @ up)) @ down, f"{layer}.post_feedforward_layernorm")
    logits = norm(x, "model.norm") @ w["model.embed_tokens.weight"].T
    return Reference(capped(logits, final_cap), largest, logits.abs().max().item())


@pytest.fixture(scope="module")
def model_path(tiny_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Gemma 2 whose queries, keys and embeddings are so large that both caps are reached."""
    from transformers import Gemma2ForCausalLM

    folder = tmp_path_factory.mktemp("capped") / "model"
    shutil.copytree(tiny_model("gemma2"), folder)
    model = Gemma2ForCausalLM.from_pretrained(folder)
    assert (model.config.attn_logit_softcapping, model.config.final_logit_softcapping) == (ATTENTION_CAP, FINAL_CAP)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.q_proj.weight.mul_(40)
            layer.self_attn.k_proj.weight.mul_(40)
        model.model.embed_tokens.weight.mul_(40)
    model.save_pretrained(folder)
    return folder


def load(path: Path, attention: str) -> Any:
    return HFBackend().load(LoadSpec(path, "infer", "cpu", "float32", "none", attention, 64, "none", 1)).model


def logits(model: Any) -> Any:
    with torch.no_grad():
        return model(input_ids=torch.tensor([IDS]), use_cache=False).logits[0]


@pytest.fixture(scope="module")
def eager(model_path: Path) -> Any:
    return load(model_path, "eager")


def close(left: Any, right: Any) -> bool:
    return torch.allclose(left, right, atol=1e-3)


def test_both_caps_are_reached(eager: Any) -> None:
    free = reference(eager, IDS, None, None)
    assert free.score > ATTENTION_CAP and free.logit > FINAL_CAP
    with_both = reference(eager, IDS, ATTENTION_CAP, FINAL_CAP).logits
    assert not close(with_both, reference(eager, IDS, None, FINAL_CAP).logits), "the attention cap decides something"
    assert not close(with_both, reference(eager, IDS, ATTENTION_CAP, None).logits), "the final cap decides something"


def test_eager_is_right(eager: Any) -> None:
    assert close(logits(eager), reference(eager, IDS, ATTENTION_CAP, FINAL_CAP).logits)


def test_a_cap_taken_away_is_seen(model_path: Path) -> None:
    model = load(model_path, "eager")
    for layer in model.model.layers:
        layer.self_attn.attn_logit_softcapping = None
    assert close(logits(model), reference(model, IDS, None, FINAL_CAP).logits)
    model.config.final_logit_softcapping = None
    assert close(logits(model), reference(model, IDS, None, None).logits)


def test_sdpa_drops_the_attention_cap(model_path: Path, eager: Any) -> None:
    """Why the default of this architecture is eager: transformers' SDPA is a model without that cap."""
    found = logits(load(model_path, "sdpa"))
    assert not close(found, reference(eager, IDS, ATTENTION_CAP, FINAL_CAP).logits)
    assert close(found, reference(eager, IDS, None, FINAL_CAP).logits)


def test_both_backends_train_with_both_caps(model_path: Path, eager: Any, tmp_path: Path) -> None:
    """The first loss of a run that asks for no attention is the reference's loss, and not one without a cap."""
    ran = run_cli(
        "-m", "task=train", "backend=hf,unsloth", "model=local", f"model.path={model_path}",
        "model.accept_license=true", "model.prompt_format=chat", "trainer=smoke", "trainer.max_steps=1",
        "trainer.train_rows=1", "trainer.samples=0", "lora=r16", "study=s", "tracking=none",
        "model.dtype=float32", cwd=tmp_path,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    row = trained_row(tmp_path)
    want, *others = (loss(eager, row, *caps) for caps in ((50, 30), (None, 30), (50, None)))
    runs = [json.loads(path.read_text()) for path in (tmp_path / "outputs" / "s").glob("*/result.json")]
    assert {run["effective"]["backend"] for run in runs} == {"hf", "unsloth"}
    for run in runs:
        assert run["effective"]["train"]["attention"] == "eager"
        assert run["parity"]["losses"][0] == pytest.approx(want, rel=2e-5)
        assert all(run["parity"]["losses"][0] != pytest.approx(other, rel=1e-4) for other in others)


def trained_row(cwd: Path) -> dict[str, list[int]]:
    (tokens,) = (json.loads(path.read_text()) for path in (cwd / "outputs" / ".tokens").glob("*.json"))
    (row,) = tokens["train"]
    return row


def loss(model: Any, row: dict[str, list[int]], attention_cap: float | None, final_cap: float | None) -> float:
    predicted = reference(model, row["input_ids"], attention_cap, final_cap).logits[:-1]
    with torch.no_grad():
        return cross_entropy(predicted, torch.tensor(row["labels"][1:]), ignore_index=IGNORED).item()
