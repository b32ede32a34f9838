"""The operating system's counters of processor time, page faults and swap: from /proc on Linux, else psutil."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, fields
from pathlib import Path

BUSY = ("user", "nice", "system", "irq", "softirq")


@dataclass(frozen=True)
class Counters:
    """The counts so far, in seconds except for the last two; None if this system does not count it.

    running: processor time of this process; own: also of its descendants; busy: of all programs, on the processors
    that we may use; stolen: time that a virtual machine's host gave to others; waiting: time that our threads were
    ready but not running; pressure: time that any process waited for a processor; swapped_in: bytes, whole machine.
    """

    wall: float
    running: float
    own: float
    busy: float
    stolen: float | None
    waiting: float | None
    pressure: float | None
    major_page_faults: float | None
    swapped_in: float

    def since(self, before: Counters) -> dict[str, float]:
        """Name -> increase since `before`, without counts that are missing."""
        pairs = ((item.name, getattr(self, item.name), getattr(before, item.name)) for item in fields(self))
        return {name: now - then for name, now, then in pairs if now is not None and then is not None}


def read_counters() -> Counters:
    """Read the counters; takes about 5 ms."""
    import psutil

    times = psutil.cpu_times(percpu=True)
    ours = [times[number] for number in _processors() if number < len(times)]
    return Counters(
        wall=time.monotonic(),
        running=time.process_time(),
        own=_own_s(),
        busy=sum(getattr(one, name, 0.0) for one in ours for name in BUSY),
        stolen=sum(one.steal for one in ours) if all(hasattr(one, "steal") for one in ours) else None,
        waiting=_waiting_s(),
        pressure=_pressure_s(),
        major_page_faults=_major_page_faults(),
        swapped_in=psutil.swap_memory().sin,
    )


def count_processors() -> int:
    """The number of processors that this process may use."""
    return len(_processors())


def _processors() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _own_s() -> float:
    """Processor time of this process and all its descendants, running or ended."""
    import psutil

    total = 0.0
    process = psutil.Process()
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):  # it has just exited
            times = one.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def _waiting_s() -> float | None:
    """Waiting time of all running threads of this process, from the scheduler's statistics.

    Source: https://docs.kernel.org/scheduler/sched-stats.html, "/proc/<pid>/schedstat", nanoseconds run and waited.
    """
    ran = waited = 0
    try:
        for thread in Path("/proc/self/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                fields_of = (thread / "schedstat").read_text().split()
                ran, waited = ran + int(fields_of[0]), waited + int(fields_of[1])
    except (OSError, ValueError, IndexError):
        return None
    return waited / 1e9 if ran else None  # a kernel that does not count it shows 0


def _pressure_s() -> float | None:
    """Source: https://docs.kernel.org/accounting/psi.html, "some", microseconds."""
    try:
        some = Path("/proc/pressure/cpu").read_text().splitlines()[0]
        return int(some.rpartition("total=")[2]) / 1e6
    except (OSError, ValueError, IndexError):
        return None


def _major_page_faults() -> float | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_majflt)
