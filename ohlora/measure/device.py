"""The device of this process: which one, whether torch can use it, its native precision, its facts for results."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from ohlora.config.choices import Dtype
from ohlora.errors import Unsupported
from ohlora.measure.gpus import VISIBLE, Gpu, chosen_gpu, driver_problem, list_gpus
from ohlora.measure.kernels import explain_missing, has_kernels

BF16_CAPABILITY = (8, 0)
HIDDEN = ("", "-1")  # a CUDA_VISIBLE_DEVICES that leaves no GPU on purpose


def resolve_device(asked: str) -> str:
    """'cuda' or 'cpu'; `auto` chooses the GPU if there is one.

    Raises:
        Unsupported: the driver shows a GPU that torch cannot use. Only device=cpu runs on the CPU then.
    """
    if asked == "cpu":
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    seen = chosen_gpu(asked)
    if seen is not None:
        raise Unsupported("gpu_unusable", _explain_unusable(seen))
    if os.environ.get(VISIBLE) not in HIDDEN and (problem := driver_problem()):
        raise Unsupported(
            "gpu_unusable",
            f"the GPU's driver cannot be used (NVML: {problem}); after an update of the driver restart the machine, or "
            "give device=cpu",
        )
    return "cpu" if asked == "auto" else "cuda"


def find_gpu_problem(least: tuple[int, int], needs: str) -> tuple[str, str] | None:
    """(code, reason) why this process's GPU cannot be used; None if it can.

    `least`: the compute capability that a back end's own kernels need, `needs` names them. In the child only.
    """
    import torch

    if not torch.cuda.is_available():
        return "no_cuda", "device=cuda, but torch sees no CUDA device here; use device=cpu or auto"
    capability, name = torch.cuda.get_device_capability(), torch.cuda.get_device_name()
    compiled_for = torch.cuda.get_arch_list()
    if not has_kernels(capability, compiled_for):
        build = f"{torch.__version__}, CUDA {torch.version.cuda}"
        missing = explain_missing(name, capability, compiled_for, build)
    elif capability < least:
        wanted, has = f"{least[0]}.{least[1]}", f"{capability[0]}.{capability[1]}"
        missing = f"{needs} need compute capability {wanted} or more; {name} has {has}"
    else:
        return None
    able = [gpu for gpu in list_gpus() if gpu.capability >= least and has_kernels(gpu.capability, compiled_for)]
    also = "; device=cuda:<number> takes another GPU of this machine: " + able[0].name if able else ""
    return "compute_capability", missing + also


def _explain_unusable(gpu: Gpu) -> str:
    """Why torch cannot use a GPU that the driver shows: both CUDA versions, and what would help."""
    import torch

    build = torch.version.cuda
    shown = f"the driver ({gpu.driver}, for CUDA {gpu.cuda} or older) shows {gpu.name}, but torch {torch.__version__}"
    if build is None:
        return f"{shown} is a build without CUDA; install one for CUDA {gpu.cuda} or older, or give device=cpu"
    if int(build.split(".")[0]) > int(gpu.cuda.split(".")[0]):  # within a major version a driver takes later ones too
        return (
            f"{shown} is built for CUDA {build} and cannot use it; update the driver, install a torch build for CUDA "
            f"{gpu.cuda} or older, or give device=cpu"
        )
    try:
        torch.cuda.init()
        why = "torch gives no reason"
    except Exception as error:
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"{shown} (CUDA {build}) cannot use it: {why}; give device=cpu to compute on the CPU"


def resolve_dtype(asked: Dtype, device: str) -> str:
    """`auto` is what the hardware supports: bfloat16, else float16 on a GPU and float32 on a CPU.

    On a CPU without native bfloat16 bfloat16 matmuls are emulated, several times slower than float32.
    """
    if asked is not Dtype.auto:
        return asked.value
    if device == "cuda":
        import torch

        return "bfloat16" if torch.cuda.get_device_capability() >= BF16_CAPABILITY else "float16"
    return cpu_dtype()


def cpu_dtype() -> str:
    """The value of `auto` on this machine's CPU. Needs no torch."""
    return "bfloat16" if _cpu_flags() & {"amx_bf16", "avx512_bf16", "bf16"} else "float32"


def describe(device: str) -> dict[str, Any]:
    """The `device` part of result.json; memory in MiB."""
    import psutil
    import torch

    facts: dict[str, Any] = {
        "type": device,
        "cpu": cpu_name(),
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
        gpu = chosen_gpu(device)
        facts |= {"uuid": gpu.uuid, "driver": gpu.driver} if gpu else {"uuid": f"GPU-{properties.uuid}"}
    else:
        facts["name"] = f"CPU ({facts['cpu']}, {facts['cores']} cores)"
    return facts


def cpu_name() -> str:
    """The processor, as the system calls it."""
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
