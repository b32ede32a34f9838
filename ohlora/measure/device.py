"""What this machine computes on: the device, its native precision, and what it is called in a result."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from ohlora.config.schema import Device, Dtype

BF16_CAPABILITY = (8, 0)


def resolve_device(asked: Device) -> str:
    """'cuda' or 'cpu'; `auto` takes the GPU where torch sees one."""
    import torch

    if asked is Device.auto:
        return "cuda" if torch.cuda.is_available() else "cpu"
    return asked.value


def resolve_dtype(asked: Dtype, device: str) -> str:
    """`auto` is what the hardware has: bfloat16, else float16 on a GPU and float32 on a CPU.

    On a CPU without native bfloat16 a bfloat16 matmul is emulated, several times slower than float32.
    """
    if asked is not Dtype.auto:
        return asked.value
    if device == "cuda":
        import torch

        return "bfloat16" if torch.cuda.get_device_capability() >= BF16_CAPABILITY else "float16"
    return cpu_dtype()


def cpu_dtype() -> str:
    """What `auto` is on this machine's CPU. Needs no torch."""
    return "bfloat16" if _cpu_flags() & {"amx_bf16", "avx512_bf16", "bf16"} else "float32"


def describe(device: str) -> dict[str, Any]:
    """The `device` part of result.json; memory in MiB."""
    import psutil
    import torch

    facts: dict[str, Any] = {
        "type": device,
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "ram_mib": round(psutil.virtual_memory().total / 2**20),
        "os": platform.platform(),
        "python": platform.python_version(),
    }
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        facts |= {
            "name": properties.name,
            "compute_capability": f"{properties.major}.{properties.minor}",
            "vram_mib": round(properties.total_memory / 2**20),
            "cuda": torch.version.cuda,
        }
    else:
        facts["name"] = f"CPU ({facts['cpu']}, {facts['cores']} cores)"
    return facts


def _cpu_name() -> str:
    for line in _cpuinfo():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _cpu_flags() -> set[str]:
    for line in _cpuinfo():
        if line.startswith(("flags", "Features")):
            return set(line.split(":", 1)[1].split())
    return set()


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
