"""The GPUs that the driver shows to this process, by UUID: one look-up for selection, estimate and record.

Needs no torch: it uses NVML, which numbers GPUs like nvidia-smi (PCI bus order). CUDA numbers them by speed unless
CUDA_DEVICE_ORDER is set, so a device is passed on by its UUID, and by a number only if it has none.

NVML: https://docs.nvidia.com/deploy/nvml-api/ · MIG: https://docs.nvidia.com/datacenter/tesla/mig-user-guide/
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MIB = 2**20
VISIBLE, ORDER, CHOSEN = "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "OHLORA_GPU"
DRIVERS = ("/proc/driver/nvidia", "/dev/dxg")  # of an NVIDIA GPU; the second on WSL2
NUMBERED = re.compile(r"auto|cpu|cuda(?::(\d+))?")


@dataclass(frozen=True)
class Gpu:
    """A device for a process: a whole board, or one MIG instance of a board.

    uuid: what CUDA_VISIBLE_DEVICES takes, 'GPU-…' or 'MIG-…'; board: the board's number in nvidia-smi;
    memory: None where the GPU has none of its own, as on a GB10;
    cuda: the newest CUDA version that the driver supports.
    """

    uuid: str
    board: int
    name: str
    capability: tuple[int, int]
    total_mib: float | None
    free_mib: float | None
    driver: str
    cuda: str


def driver_errors(nvml: Any) -> tuple[type[Exception], ...]:
    """What the module pynvml raises where the driver does not answer, or is too old to know the question."""
    return (nvml.NVMLError, nvml.NVMLLibraryMismatchError)  # the second is no subclass of the first


def is_device(text: str) -> bool:
    """True for auto, cpu, cuda or cuda:<number>."""
    return NUMBERED.fullmatch(text) is not None


def list_gpus() -> list[Gpu]:
    """Every GPU of this machine in the order of nvidia-smi; none without a driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # not installed, no driver, or no access
        return []
    try:
        return list(_boards(pynvml))
    except driver_errors(pynvml):
        return []
    finally:
        pynvml.nvmlShutdown()


def has_driver() -> bool:
    """Is the driver of an NVIDIA GPU here, in use or not?"""
    return any(os.path.exists(path) for path in DRIVERS)  # noqa: PTH110


def driver_problem() -> str:
    """Why a driver that is here cannot be asked, as after an update without a restart; '' where it can or is none."""
    try:
        import pynvml
    except ImportError:
        return ""
    try:
        pynvml.nvmlInit()
    except (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded):
        return ""
    except pynvml.NVMLError as error:
        return str(error)
    pynvml.nvmlShutdown()
    return ""


def visible_gpus() -> list[Gpu]:
    """The GPUs that CUDA_VISIBLE_DEVICES leaves visible, in its order."""
    return select_visible(list_gpus(), os.environ.get(VISIBLE))


def select_visible(gpus: list[Gpu], visible: str | None) -> list[Gpu]:
    """Read the variable as CUDA does: UUIDs or their prefixes, or numbers, up to the first invalid entry.

    Numbers are those of nvidia-smi, since children run with CUDA_DEVICE_ORDER=PCI_BUS_ID; the number of a board with
    MIG means its first instance.
    """
    if visible is None:
        return gpus
    found: list[Gpu] = []
    for name in (part.strip() for part in visible.split(",")):
        if name.isdigit():
            named = [gpu for gpu in gpus if gpu.board == int(name)][:1]
        else:
            named = [gpu for gpu in gpus if name and gpu.uuid.startswith(name)]
        if len(named) != 1 or named[0] in found:  # unknown, ambiguous, or twice
            break
        found += named
    return found


def chosen_gpu(device: str) -> Gpu | None:
    """The GPU that `device` means here: cuda:<n> is the n-th visible one, auto and cuda the first; or None."""
    if device == "cpu":
        return None
    gpus = visible_gpus()
    if len(gpus) == 1 and os.environ.get(CHOSEN) == gpus[0].uuid:  # this process already sees only this GPU
        return gpus[0]
    number = _number(device)
    return gpus[number] if number < len(gpus) else None


def narrow_process(device: str) -> None:
    """Make only the GPU of `device` visible, none with cpu. Call it before torch starts CUDA; it may be repeated.

    With several visible GPUs transformers wraps a model in DataParallel and multiplies the batch by their number.
    Without NVML the GPU is given by its number.
    """
    if os.environ.get(CHOSEN) is not None:
        return
    gpu = chosen_gpu(device)
    os.environ[ORDER] = "PCI_BUS_ID"
    if device == "cpu":
        os.environ[VISIBLE] = ""
    elif gpu is not None:
        os.environ[VISIBLE] = gpu.uuid
    else:
        number = _number(device)
        names = os.environ[VISIBLE].split(",") if VISIBLE in os.environ else [str(i) for i in range(number + 1)]
        os.environ[VISIBLE] = names[number] if number < len(names) else ""
    os.environ[CHOSEN] = gpu.uuid if gpu else ""


def device_problems(device: str) -> Iterator[str]:
    """A number that no visible GPU has, or a CUDA_VISIBLE_DEVICES without any valid entry."""
    gpus, visible = visible_gpus(), os.environ.get(VISIBLE, "")
    if device == "cpu":
        return
    if not gpus and visible not in ("", "-1") and not visible.startswith("MIG-GPU-") and (here := list_gpus()):
        names = ", ".join(f"{gpu.board} ({gpu.name}, {gpu.uuid})" for gpu in here)
        yield f"{VISIBLE}={visible}: is no GPU of this machine, which has {names}; use one of them, or unset it"
        return
    number = _number(device)
    if gpus and number >= len(gpus):
        names = ", ".join(f"cuda:{index} ({gpu.name})" for index, gpu in enumerate(gpus))
        yield f"device={device}: this machine has no such GPU; choose from {names}"


def _number(device: str) -> int:
    """The n of cuda:n; 0 for auto and cuda."""
    matched = NUMBERED.fullmatch(device)
    return int(matched[1] or 0) if matched else 0


def _boards(nvml: Any) -> Iterator[Gpu]:
    driver, cuda = nvml.nvmlSystemGetDriverVersion(), int(nvml.nvmlSystemGetCudaDriverVersion())
    version = f"{cuda // 1000}.{cuda % 1000 // 10}"
    for board in range(nvml.nvmlDeviceGetCount()):
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(board)
            capability = nvml.nvmlDeviceGetCudaComputeCapability(handle)
            for device in _instances(nvml, handle):
                name, uuid = nvml.nvmlDeviceGetName(device), nvml.nvmlDeviceGetUUID(device)
                total, free = _memory_mib(nvml, device)
                yield Gpu(uuid, board, name, (capability[0], capability[1]), total, free, driver, version)
        except nvml.NVMLError:  # a GPU that fell off the bus, or without access for this process
            continue


def _memory_mib(nvml: Any, device: Any) -> tuple[float, float] | tuple[None, None]:
    """Total and free; nothing where the driver does not count it, since the GPU computes in the machine's memory."""
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(device)
    except nvml.NVMLError_NotSupported:
        return None, None
    return memory.total / MIB, memory.free / MIB


def _instances(nvml: Any, board: Any) -> list[Any]:
    """The board itself or, with MIG, its instances; the whole board is not usable then."""
    try:
        split = nvml.nvmlDeviceGetMigMode(board)[0] == 1
    except nvml.NVMLError:  # not a board with MIG
        split = False
    if not split:
        return [board]
    found = []
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(board)):
        try:
            found.append(nvml.nvmlDeviceGetMigDeviceHandleByIndex(board, index))
        except nvml.NVMLError:  # no instance with this number
            continue
    return found
