"""GPU memory of this process as in `nvidia-smi`: including context, libraries and torch's whole pool."""

from __future__ import annotations

import os
from typing import Any

from ohlora.measure.gpu_state import GpuState
from ohlora.measure.gpus import chosen_gpu, driver_errors


class Nvml:
    """The driver's count for the one GPU of this process (`gpus.narrow_process`).

    source: 'process', the driver's count for this process; 'device_difference', if a container or WSL2 hides
        processes: memory used on the device now minus at the start, including changes by other programs; 'none'
        without a usable driver (`reason` says why); '' until torch has allocated memory.

    NVML: https://docs.nvidia.com/deploy/nvml-api/
    """

    def __init__(self, cuda: Any) -> None:
        self.source, self.reason = "", ""
        self._cuda = cuda
        try:
            import pynvml
        except ImportError:
            self.source, self.reason = "none", "nvidia-ml-py is not installed"
            return
        self._nvml, self._errors = pynvml, driver_errors(pynvml)
        try:
            pynvml.nvmlInit()
            gpu = chosen_gpu("cuda")
            if gpu is None:
                self.source, self.reason = "none", "NVML shows this process no GPU"
                return
            self._device = pynvml.nvmlDeviceGetHandleByUUID(gpu.uuid)
            self._at_start = self._used_on_device() or 0
        except self._errors as error:
            self.source, self.reason = "none", f"NVML: {error}"

    def used_bytes(self) -> int | None:
        """This process's memory on the device now; None while unknown.

        Whether the driver lists us is decided once, when torch has first allocated memory: our entry must then have at
        least that much. A smaller entry belongs to another process whose outside number equals ours in the container.
        """
        if self.source == "none":
            return None
        held = self._cuda.memory_reserved()
        own = None if self.source == "device_difference" else self._own()
        if not self.source and held:
            self.source = "process" if own is not None and own >= held else "device_difference"
        if self.source == "device_difference":
            used = self._used_on_device()
            return None if used is None else max(0, used - self._at_start)
        return own if self.source else None

    def state(self) -> GpuState:
        """Start a record of the device's clock, temperature and other processes."""
        return GpuState(self._nvml, self._device)

    def _own(self) -> int | None:
        """Our entries in the driver's list (several under MIG) in bytes; None without an entry or a size.

        WSL2's driver has no such list and raises an error.
        """
        try:
            listed = self._nvml.nvmlDeviceGetComputeRunningProcesses(self._device)
        except self._errors as error:
            self.reason = f"NVML: {error}"
            return None
        sizes = [entry.usedGpuMemory for entry in listed if entry.pid == os.getpid()]
        return sum(sizes) if sizes and None not in sizes else None

    def _used_on_device(self) -> int | None:
        """By all programs; None where the driver does not count it, as on a GB10, which has no memory of its own."""
        try:
            used: int = self._nvml.nvmlDeviceGetMemoryInfo(self._device).used
        except self._errors as error:
            self.reason = f"NVML: {error}"
            return None
        return used
