"""What the device has for a run, asked without torch: so that it can be known before anything is loaded."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

from ohlora.config.schema import Config, Device, Dtype
from ohlora.measure.cgroup import limit_bytes, memory_folder
from ohlora.measure.device import BF16_CAPABILITY, cpu_dtype

MIB = 2**20


@dataclass(frozen=True)
class Capacity:
    """`device` is cpu or cuda; `mib` what a run may take of it, None where nobody can say; `said` in words."""

    device: str
    mib: float | None
    said: str
    dtype: str


def capacity(config: Config) -> Capacity:
    """The device that this run will use, what is free on it, and the precision that model.dtype=auto takes there."""
    found = _gpu() if config.device is not Device.cpu else None
    if config.device is Device.cuda and found is None:
        found = Capacity("cuda", None, "no GPU can be asked here", "bfloat16")
    if found is None:
        found = _ram()
    dtype = found.dtype if config.model.dtype is Dtype.auto else config.model.dtype.value
    given = config.device_memory_gib
    if given is not None:
        return Capacity(found.device, given * 1024, f"device_memory_gib={given:g}", dtype)
    return Capacity(found.device, found.mib, found.said, dtype)


def _gpu() -> Capacity | None:
    """The first GPU that the driver shows this process."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return None
    with contextlib.suppress(Exception):  # no driver, or one that refuses: there is no GPU to be counted on
        import pynvml

        pynvml.nvmlInit()
        try:
            handle = pynvml.nvmlDeviceGetHandleByIndex(_first_visible(os.environ.get("CUDA_VISIBLE_DEVICES")))
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
            name = pynvml.nvmlDeviceGetName(handle)
            major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
        finally:
            pynvml.nvmlShutdown()
        free = memory.free / MIB
        said = f"{name}: {free:,.0f} MiB free of {memory.total / MIB:,.0f}"
        return Capacity("cuda", free, said, "bfloat16" if (major, minor) >= BF16_CAPABILITY else "float16")
    return None


def _first_visible(visible: str | None) -> int:
    first = (visible or "0").split(",")[0].strip()
    return int(first) if first.isdigit() else 0


def _ram() -> Capacity:
    """What is available in the machine or, where that is less, in this process's control group."""
    import psutil

    memory = psutil.virtual_memory()
    free, said = memory.available, f"{memory.available / MIB:,.0f} MiB of memory available"
    limit = limit_bytes(memory_folder())
    if limit is not None and limit < free:
        free, said = limit, f"{limit / MIB:,.0f} MiB allowed by the control group"
    return Capacity("cpu", free / MIB, said, cpu_dtype())
