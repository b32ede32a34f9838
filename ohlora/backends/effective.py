"""What was really in effect: read off the loaded model, not off what was asked for."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from ohlora.backends import LoadSpec


def versions(*packages: str) -> dict[str, str]:
    """Package -> installed version, from metadata alone."""
    return {name: metadata.version(name) for name in packages}


def adapter_parameters(model: Any) -> list[tuple[str, Any]]:
    """(name, parameter) of every LoRA weight."""
    return [(name, parameter) for name, parameter in model.named_parameters() if "lora_" in name]


def adapter_dtypes(model: Any) -> list[str]:
    """The precisions that the LoRA weights have now."""
    return sorted({str(parameter.dtype).removeprefix("torch.") for _, parameter in adapter_parameters(model)})


def in_effect(model: Any, spec: LoadSpec) -> dict[str, Any]:
    """Precision, attention, checkpointing and size of a loaded model (PEFT or plain)."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    parameters = list(model.named_parameters())
    adapter = adapter_parameters(model)
    sizes = {"parameters": sum(p.numel() for _, p in parameters)}
    if adapter:
        sizes["adapter_parameters"] = sum(p.numel() for _, p in adapter)
    if spec.mode == "train":
        sizes["trainable_parameters"] = sum(p.numel() for _, p in parameters if p.requires_grad)
    return {
        "model_class": type(base).__name__,
        "dtype": str(base.get_input_embeddings().weight.dtype).removeprefix("torch."),
        "adapter_dtype": adapter_dtypes(model),
        "attention": getattr(base.config, "_attn_implementation", None),
        "gradient_checkpointing": bool(getattr(base, "is_gradient_checkpointing", False)),
        "quantization": "nf4" if any(type(m).__name__ == "Linear4bit" for m in base.modules()) else "none",
        **sizes,
    }
