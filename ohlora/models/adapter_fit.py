"""Does an adapter fit a model? Decided by the layer sizes in both files' headers; names are only a hint."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ohlora.models.weights import tensor_shapes

Sizes = tuple[int, int]  # inputs, outputs
# What PEFT adds before and after a module's name in an adapter's file.
FACTOR = re.compile(r"(?:base_model\.model\.)?(?P<module>.+)\.lora_(?P<factor>[AB])(?:\.default)?\.weight")
CACHED = re.compile(r"models--(?P<owner>[^/]+?)--(?P<name>[^/]+)")  # a folder of the hub's cache
# Suffixes of repositories that store the same weights in another format.
FORMS = re.compile(r"(?:[-_.](?:unsloth|bnb|dynamic|[48]-?bit|int[48]|nf4|fp8|fp16|bf16|gptq|awq|gguf|qat))+$")


@dataclass(frozen=True)
class Misfit:
    """A module whose sizes differ between adapter and model; `model` is None if the model has no such module."""

    module: str
    adapter: Sizes
    model: tuple[Sizes, ...]

    def __str__(self) -> str:
        here = " or ".join(f"{inputs} → {outputs}" for inputs, outputs in self.model) or "no such module"
        return f"{self.module} is {self.adapter[0]} → {self.adapter[1]} in the adapter and {here} in the model"


def base_name(given: str) -> str:
    """The model name behind a base's name, such as 'unsloth/Gemma-2-2b-it-bnb-4bit' or a path in the hub's cache."""
    path = given.replace("\\", "/").rstrip("/")
    cached = CACHED.search(path)
    last = cached["name"] if cached else path.rsplit("/", 1)[-1]
    return FORMS.sub("", last.lower())


def adapter_sizes(weights: Path) -> dict[str, Sizes]:
    """Module -> (inputs, outputs) of the matrices that an adapter file changes; empty if it cannot be read."""
    factors: dict[str, dict[str, list[int]]] = {}
    for name, shape in tensor_shapes(weights).items():
        found = FACTOR.fullmatch(name)
        if found and len(shape) == 2:
            factors.setdefault(found["module"], {})[found["factor"]] = shape
    return {module: (pair["A"][1], pair["B"][0]) for module, pair in factors.items() if len(pair) == 2}


def find_misfit(adapter: Mapping[str, Sizes], weights: Mapping[str, list[int]]) -> Misfit | None:
    """The first module of an adapter that does not fit a model's tensors; weights may be stored transposed.

    Modules are matched by the end of their names, from the layer number on, since one model can be part of another.
    """
    by_end: dict[str, list[int]] = {}
    for name, shape in weights.items():
        parts = name.removesuffix(".weight").split(".")
        for start in range(len(parts)):
            by_end.setdefault(".".join(parts[start:]), shape)
    for module, sizes in adapter.items():
        parts = module.split(".")
        numbers = [index for index, part in enumerate(parts) if part.isdigit()]
        ends = [".".join(parts[start:]) for start in range((numbers or [len(parts) - 1])[0] + 1)]
        shape = next((by_end[end] for end in ends if end in by_end), [])
        if not shape and numbers:  # outside the layers; an output layer may share the embedding
            return Misfit(module, sizes, ())
        if len(shape) == 2 and shape[1] != 1 and sorted(shape) != sorted(sizes):  # a packed 4-bit weight has one column
            return Misfit(module, sizes, ((shape[1], shape[0]),))
    return None


def find_planned_misfit(adapter: Mapping[str, Sizes], planned: Mapping[str, set[Sizes]]) -> Misfit | None:
    """The same before the model's files are here, with the module sizes from the model option."""
    for module, sizes in adapter.items():
        here = planned.get(module.rsplit(".", 1)[-1])
        if here and sizes not in here:
            return Misfit(module, sizes, tuple(sorted(here)))
    return None
