"""The LoRA adapter: initialised equally in every arm, hashed, saved with the terms of its base model."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

from ohlora.backends import Loaded
from ohlora.backends.effective import adapter_layers, adapter_parameters
from ohlora.files import read_json, write_atomic, write_json
from ohlora.models.folder import ADAPTER_CARD, model_hash
from ohlora.models.terms import acceptance_name, copy_terms, format_terms
from ohlora.planning.plan import Plan


def initialise_adapter(model: Any, seed: int) -> None:
    """Set every lora_A to values drawn with `seed` and every lora_B to zero, in every back end alike.

    The usual LoRA initialisation (Kaiming uniform, a = √5), drawn on the CPU in float32, in the order of names.
    DoRA's magnitudes are the norms of the frozen weights: with lora_B zero the adapted model is the base model.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(adapter_parameters(model)):
            if "lora_magnitude_vector" in name:
                continue
            if "lora_B" in name:
                parameter.zero_()
                continue
            bound = math.sqrt(3.0) * math.sqrt(2.0 / (1 + 5)) / math.sqrt(parameter.shape[1])
            values = torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator)
            parameter.copy_(values.to(parameter.dtype))
        for layer in adapter_layers(model).values():
            for magnitude in layer.lora_magnitude_vector.values():
                # In float32 for any weight precision: adapters train in float32, so the ratio of norms starts at 1.
                magnitude.weight.data = _norms(layer)


def _norms(layer: Any) -> Any:
    """The norm of each output's weights in float32; 4-bit weights are dequantised first."""
    from peft.utils.integrations import dequantize_module_weight

    weight = dequantize_module_weight(layer.get_base_layer()).float()
    return (weight.T if layer.fan_in_fan_out else weight).norm(dim=1)


def keep_float32(model: Any) -> None:
    """Keep adapters and magnitudes in float32 in every arm: TRL makes those of a quantised model bfloat16."""
    import torch

    for name, parameter in adapter_parameters(model):
        parameter.data = parameter.data.to(torch.float32)
        assert parameter.requires_grad, f"{name} would not be trained"


def adapter_hash(model: Any) -> str:
    """sha256 over names and float32 values of all adapter weights."""
    digest = hashlib.sha256()
    for name, parameter in sorted(adapter_parameters(model)):
        digest.update(name.encode())
        digest.update(parameter.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()


def save_adapter(loaded: Loaded, folder: Path, plan: Plan, digest: str) -> None:
    """Save the adapter, the tokenizer, the base model's notice and terms, and a card that names the base model."""
    base, model = plan.model_folder, plan.config.model
    loaded.model.save_pretrained(str(folder))
    loaded.tokenizer.save_pretrained(str(folder))
    described = {**read_json(folder / "adapter_config.json"), "base_model_name_or_path": model.repo or base.name}
    write_json(folder / "adapter_config.json", described)  # instead of a path of this machine
    write_atomic(folder / "README.md", describe_adapter(plan))
    copy_terms(base, folder, plan.licence)
    write_json(
        folder / ADAPTER_CARD,
        {
            "schema": 1,
            "base": model.name,
            "base_label": model.label,
            "base_hash": model_hash(plan.model),
            "licence": plan.licence,
            "adapter_hash": digest,
            "data_hash": plan.data_hash,
        },
    )


def describe_adapter(plan: Plan) -> str:
    """The model card in the hub's format: the base model and its terms."""
    config, m, tag = plan.config, plan.config.model, plan.licence
    name = acceptance_name(tag)
    own = ["license: other", f"license_name: {name}"] if name != tag else [f"license: {tag}"]  # the hub's spelling
    head = ["---", *([f"base_model: {m.repo}"] if m.repo else []), *own, "library_name: peft", "---"]
    body = f"LoRA adapter (rank {config.lora.rank}, {config.data.name} data) of {m.label}, made with Oh-LoRA."
    return "\n".join([*head, "", "# Adapter", "", body, "", format_terms(tag, plan.model_folder, m.repo), ""])
