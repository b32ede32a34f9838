"""What a back end is: the facts it states about itself and the methods that a task calls, in this order."""

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


@dataclass(frozen=True)
class Support:
    """Can the back end run here? If not, `reason` says why in one sentence and `code` says it to a program."""

    supported: bool
    code: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Setting:
    """What decides before a run whether a back end will do as asked. `architecture`: the model class, if known.

    `capability`: the GPU's compute capability; None on a CPU, and where no driver can be asked.
    """

    architecture: str | None
    device: str
    dtype: str
    capability: tuple[int, int] | None
    trains: bool


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
    gradient_checkpointing: str
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


class Backend(ABC):
    """One way to run a model. A subclass is light to import: heavy libraries are imported inside its methods.

    name: what `backend=` and `conf/backend/<name>.yaml` call it;
    label: its row in the report's first table, in Markdown;
    title: its plain name;
    route_notes: route in effect -> language -> what a reader must know of a run that took it;
    libraries_mib: resident memory of its libraries before a model is loaded, measured on Linux x86-64;
    estimated_on: the devices on which it allocates what the estimate counts; elsewhere it may take less;
    least_capability: the compute capability that its own kernels need, beside torch's;
    checkpointing: the values of trainer.gradient_checkpointing that it knows;
    offloading: those of them that keep the layers' inputs off the GPU;
    env: environment variables of its libraries, set in every child of every back end;
    env_prefix: variables that begin so are dropped from the user's environment before;
    compile_caches: variables that name a folder for compiled code, one for each run;
    argument_prefixes: what the trainer arguments begin with that its libraries add to TRL's;
    patch_marks: parts of a file's path by which its replacements of library code are known.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    title: ClassVar[str]
    route_notes: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    libraries_mib: ClassVar[float] = 1025.0
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
        """What this configuration asks for that the back end does not have. Touches no file and no device."""
        asked = config.trainer.gradient_checkpointing
        if asked not in self.checkpointing:
            allowed = ", ".join(self.checkpointing)
            yield (
                f"trainer.gradient_checkpointing={asked}: backend={self.name} has no such thing; choose from {allowed}"
            )

    def warnings(self, setting: Setting) -> Iterator[str]:
        """What this back end would do otherwise than asked on this device, and what to take instead."""
        yield from ()

    def probe(self, device: str) -> Support:
        """Can it run on this device, 'cpu' or 'cuda'? Asked in the child, before anything else is imported."""
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
        """Make a loaded model ready to train or to answer."""
