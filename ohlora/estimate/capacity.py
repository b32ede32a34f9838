"""What the device has for a run, asked without torch: so that it can be known before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from ohlora.config.schema import Config, Dtype
from ohlora.measure.cgroup import free_bytes, limit_bytes, memory_folder
from ohlora.measure.device import BF16_CAPABILITY, cpu_dtype
from ohlora.measure.gpus import Gpu, chosen_gpu

MIB = 2**20


@dataclass(frozen=True)
class Capacity:
    """`device` is cpu or cuda; `mib` what a run may take of it, None where nobody can say; `said` in words.

    `gpu`: the one that the driver shows; None on a CPU, and where no driver can be asked.
    """

    device: str
    mib: float | None
    said: str
    dtype: str
    gpu: Gpu | None = None


def capacity(config: Config) -> Capacity:
    """The device that this run will use, what is free on it, and the precision that model.dtype=auto takes there."""
    gpu = chosen_gpu(config.device)
    if gpu is not None:
        said = f"{gpu.name}: {gpu.free_mib:,.0f} MiB free of {gpu.total_mib:,.0f}"
        native = "bfloat16" if gpu.capability >= BF16_CAPABILITY else "float16"
        found = Capacity("cuda", gpu.free_mib, said, native, gpu)
    elif config.device.startswith("cuda"):
        found = Capacity("cuda", None, "no GPU can be asked here", "bfloat16")
    else:
        found = _ram()
    dtype = found.dtype if config.model.dtype is Dtype.auto else config.model.dtype.value
    given = config.device_memory_gib
    if given is not None:
        return Capacity(found.device, given * 1024, f"device_memory_gib={given:g}", dtype, found.gpu)
    return Capacity(found.device, found.mib, found.said, dtype, found.gpu)


def _ram() -> Capacity:
    """What is available in the machine or, where that is less, in this process's control group."""
    import psutil

    memory = psutil.virtual_memory()
    free, said = memory.available, f"{memory.available / MIB:,.0f} MiB of memory available"
    folder = memory_folder()
    left, limit = free_bytes(folder), limit_bytes(folder)
    if left is not None and limit is not None and left < free:
        free, said = left, f"{left / MIB:,.0f} MiB left of the {limit / MIB:,.0f} that the control group allows"
    return Capacity("cpu", free / MIB, said, cpu_dtype())
