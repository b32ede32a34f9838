"""The memory that the device has for a run, read without torch, before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ohlora.config.choices import Dtype
from ohlora.measure.cgroup import free_bytes, limit_bytes, memory_folder
from ohlora.measure.device import BF16_CAPABILITY, cpu_dtype
from ohlora.measure.gpus import Gpu, chosen_gpu

MIB = 2**20


@dataclass(frozen=True)
class Capacity:
    """`device` is cpu or cuda; `mib` the memory that a run may use, None if unknown; `said` the same in words.

    `gpu`: as the driver reports it; None on a CPU or without a driver.
    """

    device: str
    mib: float | None
    said: str
    dtype: str
    gpu: Gpu | None = None


def capacity(device: str, dtype: Dtype, memory_gib: float | None) -> Capacity:
    """The device that this run will use, its free memory, and the precision of model.dtype=auto on it.

    `memory_gib`: the user's device_memory_gib, used instead of the free memory.
    """
    gpu = chosen_gpu(device)
    if gpu is not None:
        native = "bfloat16" if gpu.capability >= BF16_CAPABILITY else "float16"
        if gpu.free_mib is None or gpu.total_mib is None:
            ram = _ram()
            found = Capacity("cuda", ram.mib, f"{gpu.name}, which shares the machine's memory: {ram.said}", native, gpu)
        else:
            said = f"{gpu.name}: {gpu.free_mib:,.0f} MiB free of {gpu.total_mib:,.0f}"
            found = Capacity("cuda", gpu.free_mib, said, native, gpu)
    elif device.startswith("cuda"):
        found = Capacity("cuda", None, "no GPU driver found", "bfloat16")
    else:
        found = _ram()
    if dtype is not Dtype.auto:
        found = replace(found, dtype=dtype.value)
    if memory_gib is not None:
        found = replace(found, mib=memory_gib * 1024, said=f"device_memory_gib={memory_gib:g}")
    return found


def _ram() -> Capacity:
    """The memory available in the machine or, if less, in this process's control group."""
    import psutil

    memory = psutil.virtual_memory()
    free, said = memory.available, f"{memory.available / MIB:,.0f} MiB of memory available"
    folder = memory_folder()
    left, limit = free_bytes(folder), limit_bytes(folder)
    if left is not None and limit is not None and left < free:
        free, said = left, f"{left / MIB:,.0f} MiB left of the {limit / MIB:,.0f} that the control group allows"
    return Capacity("cpu", free / MIB, said, cpu_dtype())
