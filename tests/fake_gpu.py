"""A GPU that is not there: what torch.cuda and pynvml answer about it, and nothing of ours."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from ohlora.measure.gpus import CHOSEN, VISIBLE

MIB = 2**20
UUID = "5e9d0e2a-0000-1111-2222-333344445555"


@dataclass
class FakeCuda:
    """torch.cuda with an allocator that counts bytes; its pool keeps what was freed."""

    allocated: int = 0
    reserved: int = 0
    calls: list[str] = field(default_factory=list)
    peaks: dict[str, int] = field(default_factory=lambda: {"allocated": 0, "reserved": 0})

    def take(self, mib: int) -> None:
        self.allocated += mib * MIB
        self.reserved = max(self.reserved, self.allocated)
        self.peaks = {key: max(value, getattr(self, key)) for key, value in self.peaks.items()}

    def give(self, mib: int) -> None:
        self.allocated -= mib * MIB

    def synchronize(self) -> None:
        self.calls.append("synchronize")

    def reset_peak_memory_stats(self) -> None:
        self.peaks = {"allocated": self.allocated, "reserved": self.reserved}

    def max_memory_allocated(self) -> int:
        return self.peaks["allocated"]

    def max_memory_reserved(self) -> int:
        return self.peaks["reserved"]

    def memory_reserved(self) -> int:
        return self.reserved


class NVMLError(Exception):
    pass


class NVMLError_NotSupported(NVMLError):
    pass


class NVMLError_LibraryNotFound(NVMLError):
    pass


class NVMLError_DriverNotLoaded(NVMLError):
    pass


class NVMLLibraryMismatchError(Exception):
    """As in pynvml: the driver's library is too old for a function; no subclass of NVMLError."""


def install(monkeypatch: pytest.MonkeyPatch, nvml: FakeNvml) -> None:
    """Put it in pynvml's place, in a process that was narrowed to the second device."""
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    for name in (VISIBLE, CHOSEN):
        monkeypatch.setenv(name, nvml.uuids[-1])


@dataclass
class FakeNvml:
    """pynvml of a machine with two devices, of which ours is the second. Sizes in MiB; None: not available."""

    cuda: FakeCuda
    context: int = 300  # MiB that a process has on the device before it allocates
    others: int = 1000
    shown: bool = True
    size_known: bool = True
    stranger: int | None = None  # MiB of another process that is listed under our number
    uuids: tuple[str, ...] = ("GPU-first", f"GPU-{UUID}")
    NVMLError: type[Exception] = NVMLError
    NVMLError_NotSupported: type[Exception] = NVMLError_NotSupported
    NVMLError_LibraryNotFound: type[Exception] = NVMLError_LibraryNotFound
    NVMLError_DriverNotLoaded: type[Exception] = NVMLError_DriverNotLoaded
    NVMLLibraryMismatchError: type[Exception] = NVMLLibraryMismatchError
    NVML_CLOCK_SM: int = 1
    NVML_TEMPERATURE_GPU: int = 0
    clock_mhz: int = 1980
    clock_reasons: int = 0
    is_before_535: bool = False  # the driver: it names the function of these bits otherwise
    temperature_c: int = 55
    power_mw: int = 300_000

    def nvmlInit(self) -> None:
        pass

    def nvmlShutdown(self) -> None:
        pass

    def nvmlSystemGetDriverVersion(self) -> str:
        return "580.65.06"

    def nvmlSystemGetCudaDriverVersion(self) -> int:
        return 13000

    def nvmlDeviceGetCount(self) -> int:
        return len(self.uuids)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:
        return self.uuids[index]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        if uuid not in self.uuids:
            raise NVMLError("Not Found")
        return uuid

    def nvmlDeviceGetMigMode(self, handle: str) -> list[int]:
        raise NVMLError("Not Supported")

    def nvmlDeviceGetUUID(self, handle: str) -> str:
        return handle

    def nvmlDeviceGetName(self, handle: str) -> str:
        return "NVIDIA A100"

    def nvmlDeviceGetCudaComputeCapability(self, handle: str) -> tuple[int, int]:
        return (8, 0)

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> Any:
        own = self._own() if handle == self.uuids[-1] else 0
        used = self.others * MIB + own
        return SimpleNamespace(used=used, total=40000 * MIB, free=40000 * MIB - used)

    def nvmlDeviceGetClockInfo(self, handle: str, kind: int) -> int:
        return self.clock_mhz

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: str) -> int:
        if self.is_before_535:
            raise NVMLError("Function Not Found")
        return self.clock_reasons

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: str) -> int:
        if not self.is_before_535:
            raise NVMLError("Function Not Found")
        return self.clock_reasons

    def nvmlDeviceGetTemperature(self, handle: str, sensor: int) -> int:
        return self.temperature_c

    def nvmlDeviceGetPowerUsage(self, handle: str) -> int:
        return self.power_mw

    def nvmlDeviceGetComputeRunningProcesses(self, handle: str) -> list[Any]:
        listed = [SimpleNamespace(pid=1, usedGpuMemory=self.others * MIB)]
        if self.stranger is not None:
            listed.append(SimpleNamespace(pid=os.getpid(), usedGpuMemory=self.stranger * MIB))
        if self.shown and self._own():
            listed.append(SimpleNamespace(pid=os.getpid(), usedGpuMemory=self._own() if self.size_known else None))
        return listed

    def _own(self) -> int:
        return self.cuda.reserved + self.context * MIB if self.cuda.reserved else 0


@dataclass
class Board:
    """A GPU as the driver shows it; `instances` are the MIG instances that split it. Sizes in MiB.

    total: None where it computes in the machine's memory.
    """

    uuid: str
    name: str = "NVIDIA A100"
    capability: tuple[int, int] = (8, 0)
    total: int | None = 40000
    free: int = 39000
    instances: tuple[str, ...] = ()


@dataclass
class FakeBoards:
    """pynvml of a machine with these boards: what the look-up of devices asks. A handle is (board, instance)."""

    boards: list[Board]
    cuda: int = 13000
    NVMLError: type[Exception] = NVMLError
    NVMLError_NotSupported: type[Exception] = NVMLError_NotSupported
    NVMLError_LibraryNotFound: type[Exception] = NVMLError_LibraryNotFound
    NVMLError_DriverNotLoaded: type[Exception] = NVMLError_DriverNotLoaded
    NVMLLibraryMismatchError: type[Exception] = NVMLLibraryMismatchError

    def nvmlInit(self) -> None:
        pass

    def nvmlShutdown(self) -> None:
        pass

    def nvmlSystemGetDriverVersion(self) -> str:
        return "580.65.06" if self.cuda >= 13000 else "470.57.02"

    def nvmlSystemGetCudaDriverVersion(self) -> int:
        return self.cuda

    def nvmlDeviceGetCount(self) -> int:
        return len(self.boards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> tuple[Board, str]:
        return self.boards[index], ""

    def nvmlDeviceGetMigMode(self, handle: tuple[Board, str]) -> list[int]:
        if handle[0].capability < (8, 0):
            raise NVMLError("Not Supported")
        return [int(bool(handle[0].instances))] * 2

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: tuple[Board, str]) -> int:
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: tuple[Board, str], index: int) -> tuple[Board, str]:
        if index >= len(handle[0].instances):
            raise NVMLError("Not Found")
        return handle[0], handle[0].instances[index]

    def nvmlDeviceGetMemoryInfo(self, handle: tuple[Board, str]) -> Any:
        if handle[0].total is None:
            raise NVMLError_NotSupported("Not Supported")
        share = len(handle[0].instances) or 1
        return SimpleNamespace(total=handle[0].total * MIB // share, free=handle[0].free * MIB // share)

    def nvmlDeviceGetName(self, handle: tuple[Board, str]) -> str:
        return handle[0].name

    def nvmlDeviceGetUUID(self, handle: tuple[Board, str]) -> str:
        return handle[1] or handle[0].uuid

    def nvmlDeviceGetCudaComputeCapability(self, handle: tuple[Board, str]) -> tuple[int, int]:
        return handle[0].capability
