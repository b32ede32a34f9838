"""The memory control group of a process: its out-of-memory kills, its limit, its free memory."""

from __future__ import annotations

import contextlib
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PROC = Path("/proc")
UNLIMITED = 2**60  # version 1 writes "no limit" as the largest number of pages


def memory_folder(pid: int | str = "self") -> Path | None:
    """The folder of the process's memory controller; None without control groups.

    Version 1 has a tree per controller, version 2 one tree. In a container the path may be that of the host, while
    the container's own group is mounted as the root.
    """
    with contextlib.suppress(OSError):
        for line in sorted((PROC / str(pid) / "cgroup").read_text().splitlines(), reverse=True):
            _, controllers, path = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            root = ROOT / "memory" if controllers else ROOT
            for folder in (root / path.lstrip("/"), root):
                if any((folder / name).is_file() for name in ("memory.events", "memory.oom_control")):
                    return folder
    return None


def oom_kills(folder: Path | None) -> int | None:
    """The number of out-of-memory kills in this group; None if unknown."""
    for name in ("memory.events", "memory.oom_control"):
        if folder and (count := _value(folder / name, "oom_kill")) is not None:
            return count
    return None


def machine_oom_kills() -> int:
    """The same for the whole machine, including other programs."""
    return _value(PROC / "vmstat", "oom_kill") or 0


def limit_bytes(folder: Path | None) -> int | None:
    """The lowest memory limit of this group and its ancestors; None without a limit."""
    limits = []
    while folder and folder.is_relative_to(ROOT):
        for name in ("memory.max", "memory.limit_in_bytes"):
            with contextlib.suppress(OSError, ValueError):
                limits.append(int((folder / name).read_text()))
        folder = folder.parent
    lowest = min(limits, default=UNLIMITED)
    return lowest if lowest < UNLIMITED else None


def free_bytes(folder: Path | None) -> int | None:
    """The memory left under the limits of this group and its ancestors, the lowest value; None without a limit.

    Inactive file pages count as free: the kernel reclaims them before it kills.
    """
    left = []
    while folder and folder.is_relative_to(ROOT):
        for limit, usage, idle in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            with contextlib.suppress(OSError, ValueError):
                allowed = int((folder / limit).read_text())
                used = int((folder / usage).read_text()) - (_value(folder / "memory.stat", idle) or 0)
                if allowed < UNLIMITED:
                    left.append(max(0, allowed - used))
        folder = folder.parent
    return min(left, default=None)


class OomKills:
    """Out-of-memory kills since the start: in our group if it counts them, else on the whole machine.

    `limit_bytes` is that group's limit; None without a limit.
    """

    def __init__(self) -> None:
        self.limit_bytes: int | None = None
        self._machine = machine_oom_kills()
        self._folder: Path | None = None
        self._before: int | None = None
        self.follow("self")

    def follow(self, pid: int | str) -> None:
        """Count in the group of this process from now on; it must be alive."""
        folder = memory_folder(pid)
        if folder != self._folder:
            self._folder, self._before = folder, oom_kills(folder)
        self.limit_bytes = limit_bytes(folder)

    def count(self) -> int:
        now = oom_kills(self._folder)
        if now is not None and self._before is not None:
            return now - self._before
        return machine_oom_kills() - self._machine


def _value(file: Path, key: str) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        for line in file.read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == key:
                return int(value)
    return None
