"""Explain out-of-memory errors: the request and the memory available. Light, since the launcher uses it too."""

from __future__ import annotations

import contextlib
import re
import sys
from pathlib import Path

from ohlora.files import read_jsonl
from ohlora.measure.cgroup import limit_bytes, memory_folder
from ohlora.measure.resident import Resident

MIB = 2**20
# Of the driver, of Triton, and of cuBLAS, which has no other word for it.
GPU_WORDS = (
    "CUDA error: out of memory", "CUDA driver error: out of memory", "Triton Error [CUDA]: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)  # fmt: skip
ASKED = re.compile(r"(?:tried|unable) to allocate ([\d.]+) ?(bytes|[KMGTPE]iB)?", re.IGNORECASE)
UNITS = {"bytes": 1, **{f"{letter}ib": 2 ** (10 * power) for power, letter in enumerate("kmgtpe", 1)}}


def is_out_of_memory(error: BaseException) -> bool:
    """Is it out of memory on a GPU (torch's class or the driver's message), on CPU (a RuntimeError) or in Python?"""
    return _on_gpu(error) or isinstance(error, MemoryError) or "DefaultCPUAllocator" in str(error)


def explain_shortage(error: BaseException) -> str:
    """'asked for 4,194,304 MiB; this machine has 24,105 MiB, 23,022 MiB of it available; …', of a failed request."""
    found = ASKED.search(str(error))
    if found:
        asked = f"asked for {_mib(float(found[1]) * UNITS[(found[2] or 'bytes').lower()])}"
    else:
        asked = f"asked for more memory than there was ({type(error).__name__})"
    with contextlib.closing(Resident()) as resident:
        own = f"this process had {_mib(resident()[0])} resident"
    return "; ".join([asked, (_gpu() if _on_gpu(error) else None) or _ram(limit_bytes(memory_folder())), own])


def explain_kill(timeline: Path, process: str, limit: int | None) -> str:
    """The same for a process that the operating system killed: its last sampled memory; `limit` in bytes."""
    lines = [line for line in read_jsonl(timeline) if line["process"] == process]
    held = f", with {_mib(lines[-1]['rss_mib'] * MIB)} resident at the last sample" if lines else ""
    return f"the operating system killed it: out of memory{held}; {_ram(limit)}"


def _ram(limit: int | None) -> str:
    """The memory of the machine or, if less, the limit of the process's control group."""
    import psutil

    memory = psutil.virtual_memory()
    if limit is not None and limit < memory.total:
        return f"the limit of its control group is {_mib(limit)}, of {_mib(memory.total)} in the machine"
    return f"the machine has {_mib(memory.total)}, {_mib(memory.available)} of it available"


def _on_gpu(error: BaseException) -> bool:
    names = {cls.__name__ for cls in type(error).__mro__}
    return "OutOfMemoryError" in names or any(words in str(error) for words in GPU_WORDS)


def _gpu() -> str | None:
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    with contextlib.suppress(RuntimeError):  # without free memory this may fail too
        free, total = torch.cuda.mem_get_info()
        return f"the GPU has {_mib(total)}, {_mib(free)} of it free"
    return None


def _mib(size: float) -> str:
    return f"{size / MIB:,.0f} MiB"
