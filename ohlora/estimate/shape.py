"""The sizes that decide a model's memory: matrices and norms, from its config.json or from the model option."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ohlora.config.schema import ModelConfig, ShapeConfig
from ohlora.models.architectures import architecture, read_model_config


@dataclass(frozen=True)
class Matrix:
    """One linear layer: its module name, inputs, outputs, and whether it has a bias."""

    name: str
    inputs: int
    outputs: int
    bias: bool = False

    @property
    def parameters(self) -> int:
        return self.inputs * self.outputs + self.outputs * self.bias


@dataclass(frozen=True)
class Shape:
    """A decoder. `matrices` are those of one layer; `norms` the normalisations of the hidden state per layer."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    tied: bool
    matrices: tuple[Matrix, ...]
    layer_extras: int
    model_extras: int
    norms: int
    gated: bool = True
    query_key_norm: bool = False
    softcap: bool = False
    recurrent: bool = False

    @property
    def layer_matrices(self) -> int:
        """Parameters of all linear layers, which 4-bit quantisation packs."""
        return self.layers * sum(matrix.parameters for matrix in self.matrices)

    @property
    def parameters(self) -> int:
        """The number of parameters; shared ones count once."""
        vocabulary = self.vocab * self.hidden * (1 if self.tied else 2)
        return self.layer_matrices + self.layers * self.layer_extras + self.model_extras + vocabulary

    def targeted(self, targets: list[str]) -> list[Matrix]:
        """The matrices of one layer that LoRA adapts."""
        names = {target.rsplit(".", 1)[-1] for target in targets}
        return [matrix for matrix in self.matrices if matrix.name in names]


def shape_of(model: ModelConfig, folder: Path | None) -> Shape | None:
    """The shape of this run's model, from its folder's config.json, else from its option; None if unknown."""
    name = architecture(model, folder)
    described_shape = _of_folder(read_model_config(folder)) if folder else None
    facts = described_shape or model.shape
    build = BUILDERS.get(name or "")
    return build(facts, str(name)) if facts and build else None


def _of_folder(raw: dict[str, Any]) -> ShapeConfig | None:
    """config.json as a `ShapeConfig`; None if a field is missing."""
    try:
        hidden, heads = int(raw["hidden_size"]), int(raw.get("num_attention_heads", 1))
        tied = raw.get("tie_word_embeddings")
        return ShapeConfig(
            layers=int(raw["num_hidden_layers"]),
            hidden_size=hidden,
            intermediate_size=int(raw.get("intermediate_size") or 4 * hidden),
            heads=heads,
            kv_heads=int(raw.get("num_key_value_heads") or heads),
            head_dim=int(raw.get("head_dim") or hidden // heads),
            vocab_size=int(raw["vocab_size"]),
            tied_embeddings=raw.get("model_type", "").startswith("gemma") if tied is None else bool(tied),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _decoder(s: ShapeConfig, name: str) -> Shape:
    """Gemma, Llama, Mistral, Qwen: separate projections, a gated MLP, RMS norms."""
    h, q, kv, i = s.hidden_size, s.heads * s.head_dim, s.kv_heads * s.head_dim, s.intermediate_size
    bias = name == "Qwen2ForCausalLM"
    norms = 4 if name in ("Gemma2ForCausalLM", "Gemma3ForCausalLM") else 2
    query_key_norm = name in ("Gemma3ForCausalLM", "Qwen3ForCausalLM")
    return Shape(
        **_sizes(s),
        matrices=(
            Matrix("q_proj", h, q, bias),
            Matrix("k_proj", h, kv, bias),
            Matrix("v_proj", h, kv, bias),
            Matrix("o_proj", q, h),
            Matrix("gate_proj", h, i),
            Matrix("up_proj", h, i),
            Matrix("down_proj", i, h),
        ),
        layer_extras=norms * h + (2 * s.head_dim if query_key_norm else 0),
        model_extras=h,
        norms=norms,
        query_key_norm=query_key_norm,
        softcap=name == "Gemma2ForCausalLM",
    )


def _neox(s: ShapeConfig, _: str) -> Shape:
    """GPT-NeoX: one projection for query, key and value, a plain MLP, layer norms, biases everywhere."""
    h, i = s.hidden_size, s.intermediate_size
    return Shape(
        **_sizes(s),
        matrices=(
            Matrix("query_key_value", h, 3 * h, True),
            Matrix("dense", h, h, True),
            Matrix("dense_h_to_4h", h, i, True),
            Matrix("dense_4h_to_h", i, h, True),
        ),
        layer_extras=4 * h,
        model_extras=2 * h,
        norms=2,
        gated=False,
    )


def _rwkv(s: ShapeConfig, _: str) -> Shape:
    """RWKV 4: time mixing and channel mixing; both have `key`, `value` and `receptance`."""
    h, i = s.hidden_size, s.intermediate_size
    return Shape(
        **_sizes(s),
        matrices=(
            *(Matrix(name, h, h) for name in ("key", "value", "receptance", "output")),
            Matrix("key", h, i),
            Matrix("receptance", h, h),
            Matrix("value", i, h),
        ),
        layer_extras=11 * h,
        model_extras=4 * h,
        norms=2,
        gated=False,
        recurrent=True,
    )


def _sizes(s: ShapeConfig) -> dict[str, Any]:
    return {
        "layers": s.layers,
        "hidden": s.hidden_size,
        "intermediate": s.intermediate_size,
        "heads": s.heads,
        "kv_heads": s.kv_heads,
        "head_dim": s.head_dim,
        "vocab": s.vocab_size,
        "tied": s.tied_embeddings,
    }


BUILDERS: dict[str, Callable[[ShapeConfig, str], Shape]] = {
    **dict.fromkeys(
        (
            "GemmaForCausalLM",
            "Gemma2ForCausalLM",
            "Gemma3ForCausalLM",
            "LlamaForCausalLM",
            "MistralForCausalLM",
            "Qwen2ForCausalLM",
            "Qwen3ForCausalLM",
        ),
        _decoder,
    ),
    "GPTNeoXForCausalLM": _neox,
    "RwkvForCausalLM": _rwkv,
}
