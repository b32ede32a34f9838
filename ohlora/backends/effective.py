"""What was really in effect: read off the loaded model, not off what was asked for."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from ohlora.backends.interface import LoadSpec
from ohlora.errors import Unsupported, UserError

MOST_NAMES = 12  # of a model's modules in a message
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
    """(name, parameter) of every LoRA weight, DoRA's magnitudes among them."""
    return [(name, parameter) for name, parameter in model.named_parameters() if "lora_" in name]


def adapter_layers(model: Any) -> dict[str, Any]:
    """Name -> layer of every module that LoRA was put on; the names are the base model's."""
    layers = ((name, module) for name, module in model.named_modules() if hasattr(module, "lora_A"))
    return {name.removeprefix("base_model.model."): layer for name, layer in layers}


def lora_method(model: Any) -> str | None:
    """lora, dora or rslora, by what the layers hold and compute with; None without an adapter."""
    layers = list(adapter_layers(model).values())
    if not layers:
        return None
    (name, config), *_ = model.peft_config.items()
    if config.use_dora and all(name in layer.lora_magnitude_vector for layer in layers):
        return "dora"
    stable = all(math.isclose(layer.scaling[name], config.lora_alpha / math.sqrt(config.r)) for layer in layers)
    return "rslora" if config.use_rslora and stable else "lora"


def _lora_scale(model: Any) -> dict[str, float]:
    """Rank, alpha and the factor that the adapter's output is multiplied by, as the layers compute with them."""
    (name, config), *_ = model.peft_config.items()
    scales = {layer.scaling[name] for layer in adapter_layers(model).values()}
    return {"lora_rank": config.r, "lora_alpha": config.lora_alpha, "lora_scale": max(scales)}


def lora_places(model: Any, targets: Iterable[str]) -> list[str]:
    """The linear layers that these targets name, by their ends, before there is an adapter.

    The output layer is none of them: the losses read its weights themselves, past an adapter.

    Raises:
        UserError: a target names none.
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


def require_as_asked(model: Any, spec: LoadSpec, backend: str, places: Iterable[str]) -> None:
    """Hold a loaded model against what was asked for, where doing otherwise would train something else.

    Raises:
        Unsupported: the back end quantised other layers, adapted others than `places`, or by another method.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    for code, what, found in _otherwise(model, base, spec, places):
        raise Unsupported(code, f"backend={backend} cannot run {type(base).__name__} as asked: {what}; {found}")


def _otherwise(model: Any, base: Any, spec: LoadSpec, places: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """(code, what was asked for, what is in effect) of each thing that is not as asked."""
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
    """RWKV divides its weights layer by layer for inference, past an adapter, and 4-bit ones for good; not here."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if hasattr(base.config, "rescale_every"):
        base.config.rescale_every = 0


def adapter_dtypes(model: Any) -> list[str]:
    """The precisions that the LoRA weights have now."""
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
    """'none', or the module whose function recomputes the activations."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if not getattr(base, "is_gradient_checkpointing", False):
        return "none"
    functions = (getattr(module, "_gradient_checkpointing_func", None) for module in base.modules())
    found = next((function for function in functions if function is not None), None)
    return str(getattr(getattr(found, "func", found), "__module__", "unknown"))


def replaced(owner: Any, names: Iterable[str]) -> list[str]:
    """'Class.name: file' of every method of these names that a back end has replaced, wherever it was put."""
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


def replaced_forwards(model: Any) -> list[str]:
    """The layers of a model whose `forward` a back end has replaced, one line for each class."""
    return sorted({line for module in model.modules() for line in replaced(module, ["forward"])})
