"""Memory of this process on the GPU as `nvidia-smi` shows it: context and libraries included, torch's pool whole."""

from __future__ import annotations

import os
from typing import Any

from ohlora.measure.gpu_state import GpuState
from ohlora.measure.gpus import chosen_gpu, driver_errors


class Nvml:
    """The driver's count for the one GPU that this process computes on (`gpus.narrow_process`).

    source: 'process', what the driver counts for this process; 'device_difference', where a container or WSL2 hides
        processes: what is used on the device now less what was used at the start, other programs' changes included;
        'none' where the driver cannot be asked, `reason` says why; '' until torch holds memory.

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
        """What this process has on the device now; None while nothing can be said.

        Whether the driver shows us is settled once, when torch first holds memory: from then on we must be in its
        list, with at least that much. A smaller entry is another process whose number outside equals ours inside.
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
        """A new record of the device's clock, temperature and other processes."""
        return GpuState(self._nvml, self._device)

    def _own(self) -> int | None:
        """Our entries in the driver's list (several under MIG) in bytes; None without any, or without a number.

        WSL2's driver has no such list and says so by an error.
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
