"""What was really in effect: read off the loaded model, not off what was asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from ohlora.backends import LoadSpec

# Recorded in every run: what either side computes with.
LIBRARIES = (
    "ohlora", "torch", "transformers", "tokenizers", "peft", "trl", "accelerate", "datasets", "bitsandbytes", "triton",
)  # fmt: skip


def versions(*also: str) -> dict[str, str]:
    """Package -> installed version, from metadata alone; what is not installed is left out."""
    found = {}
    for name in (*LIBRARIES, *also):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


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
        "gradient_checkpointing": checkpointing(model),
        "quantization": "nf4" if any(type(m).__name__ == "Linear4bit" for m in base.modules()) else "none",
        **sizes,
    }


def checkpointing(model: Any) -> str:
    """'none', or the module whose function recomputes the activations."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if not getattr(base, "is_gradient_checkpointing", False):
        return "none"
    functions = (getattr(module, "_gradient_checkpointing_func", None) for module in base.modules())
    found = next((function for function in functions if function is not None), None)
    return str(getattr(getattr(found, "func", found), "__module__", "unknown"))


def replaced(owner: Any, names: Iterable[str]) -> list[str]:
    """'Class.name: file' of every method of these names that is Unsloth's code, wherever it was put."""
    found = []
    for name in names:
        method = getattr(owner, name, None)
        function = getattr(method, "__func__", method)
        file = str(getattr(getattr(function, "__code__", None), "co_filename", ""))
        if "unsloth" in file:
            found.append(f"{type(owner).__name__}.{name}: {'/'.join(Path(file).parts[-3:])}")
    return found


def replaced_forwards(model: Any) -> list[str]:
    """The layers of a model whose `forward` is Unsloth's, one line for each class."""
    return sorted({line for module in model.modules() for line in replaced(module, ["forward"])})
