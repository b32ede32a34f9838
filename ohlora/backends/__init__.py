"""The back ends: what differs between hf and unsloth, and nothing else.

A back end knows nothing of MLflow, timing or Hydra. To add one: a class with these four methods in a file of
its own, a line in BACKENDS, and `conf/backend/<name>.yaml`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol

Mode = Literal["train", "infer"]
Checkpointing = Literal["none", "standard", "unsloth"]


@dataclass(frozen=True)
class Support:
    """Can the back end run here? If not, `reason` says why in one sentence and `code` says it to a program."""

    supported: bool
    code: str = ""
    reason: str = ""


@dataclass(frozen=True)
class LoraSpec:
    """A new adapter. `method` is lora, dora or rslora; `targets` are module names, given explicitly: "all-linear"
    differs between the sides.
    """

    method: str
    rank: int
    alpha: int
    dropout: float
    targets: tuple[str, ...]


@dataclass(frozen=True)
class LoadSpec:
    """What to load. `max_length` is in tokens; `dtype` one of float32, bfloat16, float16.

    `remote_code`: Python code that lies beside the weights may run; the user has asked for it by name.
    """

    path: Path
    mode: Mode
    device: str
    dtype: str
    quantization: Literal["none", "nf4"]
    attention: str | None
    max_length: int
    gradient_checkpointing: Checkpointing
    seed: int
    remote_code: bool = False
    new_adapter: LoraSpec | None = None
    saved_adapter: Path | None = None


@dataclass
class Loaded:
    """A model with its tokenizer, and what was really in effect when it was loaded."""

    model: Any
    tokenizer: Any
    effective: dict[str, Any] = field(default_factory=dict)


class Backend(Protocol):
    """What a task may ask of a back end, in this order."""

    def probe(self, device: str) -> Support: ...
    def prepare(self) -> dict[str, str]: ...
    def load(self, spec: LoadSpec) -> Loaded: ...
    def set_mode(self, loaded: Loaded, mode: Mode) -> None: ...


BACKENDS: dict[str, str] = {
    "hf": "ohlora.backends.hf:HFBackend",
    "unsloth": "ohlora.backends.unsloth:UnslothBackend",
}


def backend(name: str) -> Backend:
    """The back end of this name; its module, and so its libraries, are imported only now."""
    module, cls = BACKENDS[name].split(":")
    made: Backend = getattr(import_module(module), cls)()
    return made
