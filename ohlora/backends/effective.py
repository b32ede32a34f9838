"""The settings really in effect: read from the loaded model, not from the request."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from ohlora.backends.interface import LoadSpec
from ohlora.errors import Unsupported, UserError

MOST_NAMES = 12  # modules listed in a message
# The packages whose versions every run records.
LIBRARIES = (
    "ohlora", "torch", "transformers", "tokenizers", "peft", "trl", "accelerate", "datasets", "bitsandbytes", "triton",
)  # fmt: skip


def versions(*also: str) -> dict[str, str]:
    """Package -> installed version, from package metadata; packages that are not installed are left out."""
    found = {}
    for name in (*LIBRARIES, *also):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def adapter_parameters(model: Any) -> list[tuple[str, Any]]:
    """(name, parameter) of every LoRA weight, including DoRA's magnitudes."""
    return [(name, parameter) for name, parameter in model.named_parameters() if "lora_" in name]


def adapter_layers(model: Any) -> dict[str, Any]:
    """Name in the base model -> layer, of every module with a LoRA adapter."""
    layers = ((name, module) for name, module in model.named_modules() if hasattr(module, "lora_A"))
    return {name.removeprefix("base_model.model."): layer for name, layer in layers}


def lora_method(model: Any) -> str | None:
    """lora, dora or rslora, judged by the layers themselves; None without an adapter."""
    layers = list(adapter_layers(model).values())
    if not layers:
        return None
    (name, config), *_ = model.peft_config.items()
    if config.use_dora and all(name in layer.lora_magnitude_vector for layer in layers):
        return "dora"
    stable = all(math.isclose(layer.scaling[name], config.lora_alpha / math.sqrt(config.r)) for layer in layers)
    return "rslora" if config.use_rslora and stable else "lora"


def _lora_scale(model: Any) -> dict[str, float]:
    """Rank, alpha and scale factor that the layers really use."""
    (name, config), *_ = model.peft_config.items()
    scales = {layer.scaling[name] for layer in adapter_layers(model).values()}
    return {"lora_rank": config.r, "lora_alpha": config.lora_alpha, "lora_scale": max(scales)}


def lora_places(model: Any, targets: Iterable[str]) -> list[str]:
    """The linear layers whose names end with one of these targets, before an adapter is added.

    Without the output layer: the losses read its weights directly, so that an adapter there has no effect.

    Raises:
        UserError: a target matches no layer.
    """
    from torch import nn

    head = model.get_output_embeddings()
    linear = [
        name
        for name, module in model.named_modules()
        if (isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D") and module is not head
    ]
    targets = list(targets)
    places = {target: [name for name in linear if f".{name}".endswith(f".{target}")] for target in targets}
    unknown = [target for target in targets if not places[target]]
    if unknown:
        named = f"{', '.join(unknown)}: " if len(targets) > 1 else ""
        leaves = sorted({name.rsplit(".", 1)[-1] for name in linear})
        shown = ", ".join(leaves[:MOST_NAMES]) + (", …" if len(leaves) > MOST_NAMES else "")
        raise UserError(f"lora.targets=[{','.join(targets)}]: {named}no such module in this model; it has {shown}")
    return sorted({name for names in places.values() for name in names})


def require_requested(model: Any, spec: LoadSpec, backend: str, places: Iterable[str]) -> None:
    """Check that a loaded model follows the request in what decides the training.

    Raises:
        Unsupported: the back end quantised other layers, adapted layers other than `places`, or used another method.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    for code, what, found in _find_differences(model, base, spec, places):
        raise Unsupported(code, f"backend={backend} cannot run {type(base).__name__} as asked: {what}; {found}")


def _find_differences(model: Any, base: Any, spec: LoadSpec, places: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """(code, request, setting in effect) of each setting that differs from the request."""
    if quantization(base) != spec.quantization:
        yield "quantization", f"lora.quantization={spec.quantization}", f"it was loaded as {quantization(base)}"
    if type(base.get_output_embeddings()).__name__ == "Linear4bit":
        yield "quantization", f"lora.quantization={spec.quantization}", "it quantised the output layer too"
    if spec.new_adapter is not None:
        unlike = sorted(set(places) ^ set(adapter_layers(model)))
        if unlike:
            yield "lora_targets", f"lora.targets=[{','.join(spec.new_adapter.targets)}]", f"not so in {unlike[0]}"
        method = lora_method(model)
        if method != spec.new_adapter.method:
            yield "lora_method", f"lora.method={spec.new_adapter.method}", f"in effect is {method}"


def keep_unscaled(model: Any) -> None:
    """Stop RWKV from rescaling its weights for inference: it ignores adapters, and cannot undo it for 4-bit weights."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if hasattr(base.config, "rescale_every"):
        base.config.rescale_every = 0


def adapter_dtypes(model: Any) -> list[str]:
    """The precisions of the LoRA weights."""
    return sorted({str(parameter.dtype).removeprefix("torch.") for _, parameter in adapter_parameters(model)})


def in_effect(model: Any, spec: LoadSpec) -> dict[str, Any]:
    """Precision, attention, checkpointing and size of a loaded model (PEFT or plain)."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    parameters = list(model.named_parameters())
    adapter = adapter_parameters(model)
    sizes = {"parameters": sum(p.numel() for _, p in parameters)}
    method = lora_method(model)
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
        "quantization": quantization(base),
        **({"lora_method": method, **_lora_scale(model)} if method else {}),
        **sizes,
    }


def quantization(base: Any) -> str:
    """'nf4' where any layer is 4-bit."""
    return "nf4" if any(type(module).__name__ == "Linear4bit" for module in base.modules()) else "none"


def checkpointing(model: Any) -> str:
    """'none', or the module of the function that recomputes the activations."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if not getattr(base, "is_gradient_checkpointing", False):
        return "none"
    functions = (getattr(module, "_gradient_checkpointing_func", None) for module in base.modules())
    found = next((function for function in functions if function is not None), None)
    return str(getattr(getattr(found, "func", found), "__module__", "unknown"))


def find_replaced(owner: Any, names: Iterable[str]) -> list[str]:
    """'Class.name: file' of every method with one of these names that a back end has replaced, in any class."""
    from ohlora.backends import backends

    marks = [mark for known in backends().values() for mark in known.patch_marks]
    found = []
    for name in names:
        method = getattr(owner, name, None)
        function = getattr(method, "__func__", method)
        file = str(getattr(getattr(function, "__code__", None), "co_filename", ""))
        if any(mark in file for mark in marks):
            found.append(f"{type(owner).__name__}.{name}: {'/'.join(Path(file).parts[-3:])}")
    return found


def find_replaced_forwards(model: Any) -> list[str]:
    """The layers of a model whose `forward` a back end has replaced, one line for each class."""
    return sorted({line for module in model.modules() for line in find_replaced(module, ["forward"])})
