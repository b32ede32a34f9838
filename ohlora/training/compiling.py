"""trainer.compile=true: a model's layers compiled by torch for the steps of training, and plain everywhere else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import compile, is_grad_enabled, nn

from ohlora.errors import Unsupported

COMPILERS = ("g++", "clang++")  # torch builds C++ on a CPU, and the launchers of its kernels on a GPU


def require_compilable(model: Any) -> None:
    """Check what is needed before anything is trained.

    Raises:
        Unsupported: no C++ compiler, or transformers does not promise that this class of models can be compiled.
    """
    if not getattr(model, "_can_compile_fullgraph", False):
        raise Unsupported(
            "cannot_compile",
            f"trainer.compile=true: transformers does not compile {type(model).__name__}; remove trainer.compile",
        )
    wanted = [os.environ["CXX"]] if os.environ.get("CXX") else COMPILERS
    if not any(shutil.which(name) for name in wanted):
        raise Unsupported(
            "no_compiler",
            f"trainer.compile=true: torch needs a C++ compiler ({' or '.join(wanted)}), and none was found; "
            "install one (apt-get install g++), or remove trainer.compile",
        )


@contextmanager
def compile_layers(decoder: nn.Module, compiled: bool) -> Iterator[None]:
    """Compile every layer of the decoder within this block, where gradients are needed; rows may differ in length.

    Evaluation and samples between two steps stay plain: compiled, they would cost a second compilation.
    """
    layers = max((part for part in decoder.children() if isinstance(part, nn.ModuleList)), key=len) if compiled else []
    for layer in layers:
        layer.forward = _choose(compile(layer.forward, dynamic=True), layer.forward)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _choose(compiled: Any, plain: Any) -> Any:
    def forward(*given: Any, **named: Any) -> Any:
        return (compiled if is_grad_enabled() else plain)(*given, **named)

    return forward
