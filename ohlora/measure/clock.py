"""A clock that waits for the device, because a GPU call returns before its work is done."""

from __future__ import annotations

import os
import time
from pathlib import Path


class Clock:
    """`now()` in seconds, after the device has finished its queued work."""

    def __init__(self, device: str) -> None:
        self._cuda = None
        if device == "cuda":
            import torch

            self._cuda = torch.cuda

    def now(self) -> float:
        if self._cuda:
            self._cuda.synchronize()
        return time.perf_counter()


def process_age_s() -> float:
    """Seconds since the operating system started this process, including interpreter start and imports.

    On Linux accurate to 10 ms; elsewhere, from psutil, to about a second.
    """
    try:
        after_name = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        started = int(after_name[19]) / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - started
    except (OSError, AttributeError):
        import psutil

        return time.time() - psutil.Process().create_time()
