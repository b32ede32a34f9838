"""The estimate's terms against the libraries: what autograd really keeps, and how many weights there really are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ohlora.backends.hf import HFBackend
from ohlora.config.choices import Attention, LoraMethod, Loss, Quantization, Speed
from ohlora.config.schema import ShapeConfig
from ohlora.estimate.parts import Settings, adapter_parameters, kept_per_layer, kept_per_token
from ohlora.estimate.shape import BUILDERS, Shape
from ohlora.estimate.work import Work
from ohlora.models.architectures import ARCHITECTURES
from ohlora.training.fast import share_inputs

HIDDEN, INTERMEDIATE, HEADS, VOCAB, RANK, ROWS, LENGTH = 256, 768, 4, 500, 8, 2, 32
# Architecture -> its configuration class and the key-value heads and head size that it is built with here.
CLASSES: dict[str, tuple[str, int, int]] = {
    "GemmaForCausalLM": ("GemmaConfig", 1, 64),
    "Gemma2ForCausalLM": ("Gemma2Config", 2, 64),
    "Gemma3ForCausalLM": ("Gemma3TextConfig", 1, 64),
    "LlamaForCausalLM": ("LlamaConfig", 2, 64),
    "Qwen2ForCausalLM": ("Qwen2Config", 4, 64),
    "Qwen3ForCausalLM": ("Qwen3Config", 2, 64),
    "GPTNeoXForCausalLM": ("GPTNeoXConfig", 4, 64),
    "RwkvForCausalLM": ("RwkvConfig", 1, 256),
}


def built(name: str, layers: int, dtype: str, attention: Attention, method: LoraMethod = LoraMethod.lora) -> Any:
    """A random model of this class with a float32 adapter, as a run trains it."""
    import torch
    import transformers
    from peft import LoraConfig, get_peft_model

    config_name, kv_heads, head_dim = CLASSES[name]
    sizes: dict[str, Any] = {
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": layers,
        "vocab_size": VOCAB,
        "use_cache": False,
    }
    if name != "RwkvForCausalLM":
        sizes |= {"num_attention_heads": HEADS, "num_key_value_heads": kv_heads, "head_dim": head_dim}
    config = getattr(transformers, config_name)(**sizes)
    options = {} if name == "RwkvForCausalLM" else {"attn_implementation": attention.value}
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype), **options)
    targets = list(ARCHITECTURES[name].targets)
    dora = method is LoraMethod.dora
    lora = LoraConfig(r=RANK, lora_alpha=RANK, target_modules=targets, task_type="CAUSAL_LM", use_dora=dora)
    model = get_peft_model(model, lora)
    for parameter_name, parameter in model.named_parameters():
        if "lora_" in parameter_name:
            parameter.data = parameter.data.float()
    return model.train()


def kept_bytes(model: Any, dtype: str) -> int:
    """Bytes of everything that autograd keeps of one forward pass, each storage once, weights left out."""
    import torch

    own = {p.untyped_storage().data_ptr() for p in [*model.parameters(), *model.buffers()]}
    kept: dict[int, int] = {}
    alive = []

    def pack(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    ids = torch.randint(0, VOCAB, (ROWS, LENGTH))
    mask = torch.ones_like(ids)
    mask[0, -5:] = 0
    decoder = model.get_base_model().base_model
    mixed = torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bfloat16")
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), mixed:
        decoder(input_ids=ids, attention_mask=mask, use_cache=False)
    return sum(kept.values())


def asked(name: str, dtype: str, attention: Attention, method: LoraMethod = LoraMethod.lora) -> Settings:
    return Settings(
        backend=HFBackend,
        device="cpu",
        dtype=dtype,
        quantization=Quantization.none,
        attention=attention,
        method=method,
        rank=RANK,
        targets=ARCHITECTURES[name].targets,
        loss=Loss.chunked_nll,
        checkpointing="none",
        optimizer="adamw_torch",
    )


def shape(name: str, layers: int, tied: bool) -> Shape:
    _, kv_heads, head_dim = CLASSES[name]
    heads = 1 if name == "RwkvForCausalLM" else HEADS
    return BUILDERS[name](
        ShapeConfig(layers, HIDDEN, INTERMEDIATE, heads, kv_heads, head_dim, VOCAB, tied),
        name,
    )


@pytest.mark.parametrize(
    ("name", "method"),
    [*((name, LoraMethod.lora) for name in CLASSES), ("LlamaForCausalLM", LoraMethod.dora)],
)
@pytest.mark.parametrize(
    ("dtype", "speed"), [("bfloat16", Speed.plain), ("bfloat16", Speed.fast), ("float32", Speed.plain)]
)
def test_activations_are_what_autograd_keeps(name: str, method: LoraMethod, dtype: str, speed: Speed) -> None:
    attention = Attention.eager if name == "Gemma2ForCausalLM" else Attention.sdpa
    models = [built(name, layers, dtype, attention, method) for layers in (4, 2)]
    if speed is Speed.fast:
        for model in models:
            share_inputs(model, True)
    several, fewer = (kept_bytes(model, dtype) for model in models)
    per_layer = (several - fewer) / 2
    about = replace(asked(name, dtype, attention, method), speed=speed)
    one = shape(name, 1, tied=True)
    work = Work(ROWS, LENGTH, LENGTH, LENGTH, 1, is_varied=False, exact=True)
    estimated = work.positions * kept_per_token(one, about) + kept_per_layer(one, work, about)
    assert estimated == pytest.approx(per_layer, rel=0.12)


@pytest.mark.parametrize("name", list(CLASSES))
def test_weights_are_counted_exactly(name: str) -> None:
    model = built(name, 2, "float32", Attention.eager)
    one = shape(name, 2, tied=bool(model.get_base_model().config.tie_word_embeddings))
    adapter = sum(p.numel() for n, p in model.named_parameters() if "lora_" in n)
    assert one.parameters == sum(p.numel() for p in model.parameters()) - adapter
    assert adapter_parameters(one, asked(name, "float32", Attention.eager)) == adapter
