"""A GPU that is not there: what torch.cuda and pynvml answer about it, and nothing of ours."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

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

    def get_device_properties(self, index: int) -> Any:
        return SimpleNamespace(uuid=UUID, pci_domain_id=0, pci_bus_id=0x3B, pci_device_id=0)


class NVMLError(Exception):
    pass


@dataclass
class FakeNvml:
    """pynvml of a machine with two devices, of which ours is the second. Sizes in MiB; None: not available."""

    cuda: FakeCuda
    context: int = 300  # MiB that a process has on the device before it allocates
    others: int = 1000
    shown: bool = True
    size_known: bool = True
    stranger: int | None = None  # MiB of another process that is listed under our number
    handles: tuple[str, ...] = (f"GPU-{UUID}",)
    NVMLError: type[Exception] = NVMLError
    NVML_CLOCK_SM: int = 1
    NVML_TEMPERATURE_GPU: int = 0
    clock_mhz: int = 1980
    clock_reasons: int = 0
    temperature_c: int = 55
    power_mw: int = 300_000

    def nvmlInit(self) -> None:
        pass

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        if uuid not in self.handles:
            raise NVMLError("Not Found")
        return uuid

    def nvmlDeviceGetHandleByPciBusId(self, address: str) -> str:
        return address

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> Any:
        return SimpleNamespace(used=self.others * MIB + self._own())

    def nvmlDeviceGetClockInfo(self, handle: str, kind: int) -> int:
        return self.clock_mhz

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: str) -> int:
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
