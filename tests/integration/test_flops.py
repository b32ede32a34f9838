"""FLOPs of a training step against a count by hand, on models of the real classes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model

from ohlora.training.batches import Batch
from ohlora.training.flops import TrainingCost, training_cost

H, F, V, LAYERS, R = 64, 96, 264, 2, 4  # hidden, feed-forward and vocabulary size, layers, rank
SIZES: dict[str, Any] = {
    "vocab_size": V, "hidden_size": H, "intermediate_size": F, "num_hidden_layers": LAYERS, "num_attention_heads": 2,
}  # fmt: skip
GEMMA = {**SIZES, "num_key_value_heads": 1, "head_dim": 16}
ATTENTION, MLP = ["q_proj", "k_proj", "v_proj", "o_proj"], ["gate_proj", "up_proj", "down_proj"]
# Per layer: its linear weights as (in, out), the adapted ones apart.
GEMMA_LAYERS = [(H, 32), (H, 16), (H, 16), (32, H), (H, F), (H, F), (F, H)]
LLAMA_LAYERS = [(H, H)] * 4 + [(H, F), (H, F), (F, H)]
NEOX_LAYERS = [(H, 3 * H), (H, H), (H, F), (F, H)]
RWKV_LAYERS = [(H, H)] * 4 + [(H, F), (H, H), (F, H)]
CASES = {
    "gemma3": (transformers.Gemma3TextConfig(**GEMMA), ATTENTION + MLP, GEMMA_LAYERS, GEMMA_LAYERS),
    "gemma2": (transformers.Gemma2Config(**GEMMA), ATTENTION, GEMMA_LAYERS, GEMMA_LAYERS[:4]),
    "llama": (transformers.LlamaConfig(**SIZES), ATTENTION + MLP, LLAMA_LAYERS, LLAMA_LAYERS),
    "gpt_neox": (
        transformers.GPTNeoXConfig(**SIZES), ["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"],
        NEOX_LAYERS, NEOX_LAYERS,
    ),
    "rwkv": (
        transformers.RwkvConfig(**{k: v for k, v in SIZES.items() if k != "num_attention_heads"}),
        ["key", "value", "receptance", "output"], RWKV_LAYERS, RWKV_LAYERS,
    ),
}  # fmt: skip


def adapted(config: Any, targets: list[str]) -> Any:
    model = transformers.AutoModelForCausalLM.from_config(config)
    return get_peft_model(model, LoraConfig(r=R, target_modules=targets, task_type="CAUSAL_LM"))


@pytest.mark.parametrize("name", CASES)
def test_a_step_costs_what_a_count_by_hand_says(name: str) -> None:
    config, targets, layers, with_adapter = CASES[name]
    frozen = sum(rows * columns for rows, columns in layers)
    adapter = sum(R * (rows + columns) for rows, columns in with_adapter)
    cost = training_cost(adapted(config, targets))
    assert cost == TrainingCost(LAYERS * (4 * frozen + 6 * adapter), 4 * H * V)
    batches = [Batch(positions=20, tokens=16, loss_tokens=5, hash=""), Batch(4, 4, 1, "")]
    assert cost.of(batches) == 20 * cost.per_token + 6 * cost.per_loss_token


def test_checkpointing_and_a_tied_head_add_nothing() -> None:
    """What is computed twice is needed once; and gemma's head is its embedding, counted as the head alone."""
    config, targets, *_ = CASES["gemma3"]
    model = adapted(config, targets)
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    before = training_cost(model)
    model.gradient_checkpointing_enable()
    model.eval()
    assert training_cost(model) == before


def test_four_bit_weights_count_by_their_logical_size() -> None:
    from bitsandbytes.nn import Linear4bit

    config, targets, *_ = CASES["llama"]
    model = transformers.AutoModelForCausalLM.from_config(config)
    for layer in model.model.layers:
        for parent in (layer.self_attn, layer.mlp):
            for name, linear in list(parent.named_children()):
                if isinstance(linear, torch.nn.Linear):
                    sizes = linear.in_features, linear.out_features
                    setattr(parent, name, Linear4bit(*sizes, bias=False, quant_type="nf4").to("cpu"))
    model = get_peft_model(model, LoraConfig(r=R, target_modules=targets, task_type="CAUSAL_LM"))
    packed = model.get_base_model().model.layers[0].mlp.up_proj.base_layer.weight
    assert packed.numel() == H * F // 2
    assert training_cost(model) == training_cost(adapted(config, targets))
