"""What this process has resident, as the operating system counts it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def resident() -> tuple[int, int | None]:
    """(resident, anonymous) bytes of this process now; anonymous is None off Linux."""
    try:
        fields = Path("/proc/self/statm").read_bytes().split()
    except OSError:
        import psutil

        return psutil.Process().memory_info().rss, None
    page = os.sysconf("SC_PAGE_SIZE")
    return int(fields[1]) * page, (int(fields[1]) - int(fields[2])) * page


def process_peak_mib() -> float | None:
    """VmHWM: the most that was ever resident in this process; None where the system does not tell."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return None
