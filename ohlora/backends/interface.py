"""The interface of a back end: its properties, and the methods that a task calls, in this order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ohlora.measure.device import find_gpu_problem

if TYPE_CHECKING:
    from ohlora.config.schema import Config

Mode = Literal["train", "infer"]
AUTO = "auto"  # of trainer.gradient_checkpointing: none if the estimate says that the memory allows, else standard


@dataclass(frozen=True)
class Support:
    """Can the back end run here? If not, `reason` is one sentence for the user and `code` a short name for programs."""

    supported: bool
    code: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Setting:
    """The facts that decide before a run whether a back end will follow it. `architecture`: the model class, if known.

    `capability`: the GPU's compute capability; None on a CPU or without a driver.
    """

    architecture: str | None
    device: str
    dtype: str
    capability: tuple[int, int] | None
    trains: bool


@dataclass(frozen=True)
class LoraSpec:
    """A new adapter. `method` is lora, dora or rslora; `targets` are module names, given explicitly, since "all-linear"
    differs between back ends.
    """

    method: str
    rank: int
    alpha: int
    dropout: float
    targets: tuple[str, ...]


@dataclass(frozen=True)
class LoadSpec:
    """What to load. `max_length` is in tokens; `dtype` one of float32, bfloat16, float16.

    `remote_code`: Python code beside the weights may run; the user has allowed it by name.
    """

    path: Path
    mode: Mode
    device: str
    dtype: str
    quantization: Literal["none", "nf4"]
    attention: str | None
    max_length: int
    gradient_checkpointing: str
    seed: int
    remote_code: bool = False
    new_adapter: LoraSpec | None = None
    saved_adapter: Path | None = None


@dataclass
class Loaded:
    """A loaded model with its tokenizer and the settings really in effect."""

    model: Any
    tokenizer: Any
    effective: dict[str, Any] = field(default_factory=dict)


class Backend(ABC):
    """One way to run a model. Subclasses import heavy libraries inside their methods.

    name: its value of `backend=` and its file, `conf/backend/<name>.yaml`;
    label: its row in the report's first table, in Markdown;
    title: its plain name;
    route_notes: route in effect -> language -> a note for readers of a run that took it;
    libraries_mib: resident memory of its libraries without a model, measured on Linux x86-64;
    estimated_on: the devices for which the estimate is meant; elsewhere it may need less;
    least_capability: the compute capability that its own kernels need, in addition to torch's;
    checkpointing: the values of trainer.gradient_checkpointing that it supports;
    offloading: those that keep the layers' inputs off the GPU;
    env: environment variables of its libraries, set in every child of every back end;
    env_prefix: variables of the user with this prefix are removed first;
    compile_caches: variables that name a folder for compiled code, one for each run;
    argument_prefixes: prefixes of the trainer arguments that its libraries add to TRL's;
    patch_marks: parts of a file path that identify its replacements of library code.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    title: ClassVar[str]
    route_notes: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    libraries_mib: ClassVar[float] = 940.0
    estimated_on: ClassVar[tuple[str, ...]] = ()
    least_capability: ClassVar[tuple[int, int]] = (0, 0)
    checkpointing: ClassVar[tuple[str, ...]] = ("none", "standard")
    offloading: ClassVar[tuple[str, ...]] = ()
    env: ClassVar[Mapping[str, str]] = {}
    env_prefix: ClassVar[str] = ""
    compile_caches: ClassVar[tuple[str, ...]] = ()
    argument_prefixes: ClassVar[tuple[str, ...]] = ()
    patch_marks: ClassVar[tuple[str, ...]] = ()

    def problems(self, config: Config) -> Iterator[str]:
        """Settings of this configuration that the back end does not support. Uses no file and no device."""
        asked = config.trainer.gradient_checkpointing
        if asked not in (AUTO, *self.checkpointing):
            allowed = ", ".join([AUTO, *self.checkpointing])
            yield (f"trainer.gradient_checkpointing={asked}: backend={self.name} lacks it; choose from {allowed}")

    def warnings(self, setting: Setting) -> Iterator[str]:
        """Settings that this back end would not follow on this device, and what to use instead."""
        yield from ()

    def probe(self, device: str) -> Support:
        """Can it run on this device, 'cpu' or 'cuda'? Called in the child before any other import."""
        found = find_gpu_problem(self.least_capability, f"{self.title}'s own kernels") if device == "cuda" else None
        return Support(True) if found is None else Support(False, *found)

    @abstractmethod
    def prepare(self) -> dict[str, str]:
        """Import its libraries, the first heavy import of the process; package -> version."""

    @abstractmethod
    def load(self, spec: LoadSpec) -> Loaded:
        """Load the model with a new adapter, a saved one, or none."""

    @abstractmethod
    def set_mode(self, loaded: Loaded, mode: Mode) -> None:
        """Switch a loaded model to training or inference."""

    def has_own_kernels(self, loaded: Loaded) -> bool:
        """Has it replaced the model's loss and generation by kernels of its own, to be used in place of ours?"""
        return False
