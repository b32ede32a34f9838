"""Facts about model classes: LoRA targets, licence family, attention; and those in a folder's config.json."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ohlora.config.choices import Attention
from ohlora.config.schema import ModelConfig
from ohlora.errors import UserError, choose_from
from ohlora.files import read_json

GATED = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class Architecture:
    """A model class of transformers: the modules that LoRA adapts, and its special cases.

    `licence`: the licence of every model of the class; '' if each model has its own.
    """

    targets: tuple[str, ...]
    licence: str = ""
    attention: Attention = Attention.auto


ARCHITECTURES: dict[str, Architecture] = {
    "GemmaForCausalLM": Architecture(GATED, "gemma"),
    # The SDPA path of transformers drops Gemma 2's soft-capping.
    "Gemma2ForCausalLM": Architecture(GATED, "gemma", Attention.eager),
    "Gemma3ForCausalLM": Architecture(GATED, "gemma"),
    "LlamaForCausalLM": Architecture(GATED),
    "MistralForCausalLM": Architecture(GATED),
    "Qwen2ForCausalLM": Architecture(GATED),
    "Qwen3ForCausalLM": Architecture(GATED),
    "GPTNeoXForCausalLM": Architecture(("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")),
    "RwkvForCausalLM": Architecture(("key", "value", "receptance", "output")),
}
# transformers loads by `model_type`, whatever `architectures` names.
TYPE_LICENCES = dict.fromkeys(("gemma", "gemma2", "gemma3", "gemma3_text"), "gemma")


def architecture(model: ModelConfig, folder: Path | None = None) -> str | None:
    """The model class from the option, else from the folder's config.json; None if neither names it."""
    if model.architecture:
        return model.architecture
    named = read_model_config(folder).get("architectures") if folder else None
    return str(named[0]) if named else None


def class_licence(model: ModelConfig, folder: Path | None) -> str:
    """The licence of every model of this class, whatever a card or an option says; '' if each model has its own."""
    read = read_model_config(folder) if folder else {}
    named = read.get("architectures")
    for name in (model.architecture, *(named if isinstance(named, list) else ())):
        found = find_architecture(name) if isinstance(name, str) else None
        if found and found.licence:
            return found.licence
    return TYPE_LICENCES.get(str(read.get("model_type")), "")


def find_architecture(name: str | None) -> Architecture | None:
    return ARCHITECTURES.get(name or "")


def lora_targets(model: ModelConfig, chosen: list[str] | None, folder: Path | None) -> list[str]:
    """The modules that get an adapter: from lora.targets, else from the model option, else by architecture.

    Raises:
        UserError: this architecture is unknown.
    """
    named = chosen or model.lora_targets
    if named:
        return list(named)
    name = architecture(model, folder)
    found = find_architecture(name)
    if found is None:
        allowed = choose_from("model.architecture", name, ARCHITECTURES)
        raise UserError(f"{allowed}; or name the modules yourself: lora.targets=[q_proj,v_proj]")
    return list(found.targets)


def attention(model: ModelConfig, folder: Path | None) -> Attention:
    """The requested attention: the user's choice, else what the architecture needs."""
    found = find_architecture(architecture(model, folder))
    return found.attention if found and model.attention is Attention.auto else model.attention


def read_model_config(folder: Path) -> dict[str, Any]:
    """Read a folder's config.json; empty if it cannot be read."""
    try:
        read = read_json(folder / "config.json")
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}
