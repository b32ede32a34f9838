"""The GPUs that the driver shows this process, by UUID: one look-up for the choice, the estimate and the record.

Needs no torch: it asks NVML, whose numbers are those of nvidia-smi (PCI bus order). CUDA numbers devices by speed
unless CUDA_DEVICE_ORDER says otherwise, so a device is handed on by its UUID, by a number only where it has none.

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
NUMBERED = re.compile(r"auto|cpu|cuda(?::(\d+))?")


@dataclass(frozen=True)
class Gpu:
    """A device that a process can compute on: a whole board, or one instance of a board that is split by MIG.

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
    """auto, cpu, cuda or cuda:<number>."""
    return NUMBERED.fullmatch(text) is not None


def list_gpus() -> list[Gpu]:
    """Every GPU of this machine in the order of nvidia-smi; none where no driver can be asked."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # not installed, no driver, or one that refuses
        return []
    try:
        return list(_boards(pynvml))
    except driver_errors(pynvml):
        return []
    finally:
        pynvml.nvmlShutdown()


def visible_gpus() -> list[Gpu]:
    """Those of them that CUDA_VISIBLE_DEVICES leaves this process, in its order."""
    return select_visible(list_gpus(), os.environ.get(VISIBLE))


def select_visible(gpus: list[Gpu], visible: str | None) -> list[Gpu]:
    """What CUDA makes of the variable: UUIDs or their beginnings, or numbers, up to the first that names nothing.

    A number is that of nvidia-smi, since children run with CUDA_DEVICE_ORDER=PCI_BUS_ID; of a board split by MIG it is
    the first instance.
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
    """The GPU that `device` means here: cuda:<n> is the n-th visible one, auto and cuda the first; None without one."""
    if device == "cpu":
        return None
    gpus = visible_gpus()
    if len(gpus) == 1 and os.environ.get(CHOSEN) == gpus[0].uuid:  # this process was narrowed to it before
        return gpus[0]
    number = _number(device)
    return gpus[number] if number < len(gpus) else None


def narrow_process(device: str) -> None:
    """Leave this process the one GPU that `device` means, none with cpu. Before torch starts CUDA; twice does no harm.

    With several visible GPUs transformers wraps a model in DataParallel and multiplies the batch by their number.
    Where the driver cannot be asked a GPU is named by its number.
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
    """A number that no visible GPU has, or a CUDA_VISIBLE_DEVICES that hides every GPU by naming none."""
    gpus, visible = visible_gpus(), os.environ.get(VISIBLE, "")
    if device == "cpu":
        return
    if not gpus and visible not in ("", "-1") and not visible.startswith("MIG-GPU-") and (here := list_gpus()):
        names = ", ".join(f"{gpu.board} ({gpu.name}, {gpu.uuid})" for gpu in here)
        yield f"{VISIBLE}={visible}: names no GPU of this machine, which has {names}; name one of them, or unset it"
        return
    number = _number(device)
    if gpus and number >= len(gpus):
        names = ", ".join(f"cuda:{index} ({gpu.name})" for index, gpu in enumerate(gpus))
        yield f"device={device}: there is no such GPU here; choose from {names}"


def _number(device: str) -> int:
    """The n of cuda:n, 0 of auto and cuda."""
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
        except nvml.NVMLError:  # one that has fallen off the bus, or that this process may not see
            continue


def _memory_mib(nvml: Any, device: Any) -> tuple[float, float] | tuple[None, None]:
    """Total and free; nothing where the driver does not count it, since the GPU computes in the machine's memory."""
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(device)
    except nvml.NVMLError_NotSupported:
        return None, None
    return memory.total / MIB, memory.free / MIB


def _instances(nvml: Any, board: Any) -> list[Any]:
    """The board itself or, where MIG splits it, its instances: the whole board cannot be computed on then."""
    try:
        split = nvml.nvmlDeviceGetMigMode(board)[0] == 1
    except nvml.NVMLError:  # not a board that can be split
        split = False
    if not split:
        return [board]
    found = []
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(board)):
        try:
            found.append(nvml.nvmlDeviceGetMigDeviceHandleByIndex(board, index))
        except nvml.NVMLError:  # no instance has this number
            continue
    return found
