"""Memory of this process on the GPU as `nvidia-smi` shows it: context and libraries included, torch's pool whole."""

from __future__ import annotations

import os
from typing import Any

from ohlora.measure.gpu_state import GpuState


class Nvml:
    """The driver's count for the device that torch computes on, found by its identity: numbers may be remapped.

    source: 'process', what the driver counts for this process; 'device_difference', where a container hides
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
        self._nvml = pynvml
        try:
            pynvml.nvmlInit()
            self._device = self._find(cuda.get_device_properties(0))
            self._at_start = pynvml.nvmlDeviceGetMemoryInfo(self._device).used
        except pynvml.NVMLError as error:
            self.source, self.reason = "none", f"NVML: {error}"

    def used_bytes(self) -> int | None:
        """What this process has on the device now; None while nothing can be said.

        Whether the driver shows us is settled once, when torch first holds memory: from then on we must be in its
        list, with at least that much. A smaller entry is another process whose number outside equals ours inside.
        """
        if self.source == "none":
            return None
        try:
            held = self._cuda.memory_reserved()
            own = self._own()
            if not self.source and held:
                self.source = "process" if own is not None and own >= held else "device_difference"
            if self.source == "device_difference":
                return max(0, self._nvml.nvmlDeviceGetMemoryInfo(self._device).used - self._at_start)
        except self._nvml.NVMLError as error:
            self.reason = f"NVML: {error}"
            return None
        return own if self.source else None

    def state(self) -> GpuState:
        """A new record of the device's clock, temperature and other processes."""
        return GpuState(self._nvml, self._device)

    def _own(self) -> int | None:
        """Our entries in the driver's list (several under MIG) in bytes; None without any, or without a number."""
        listed = self._nvml.nvmlDeviceGetComputeRunningProcesses(self._device)
        sizes = [entry.usedGpuMemory for entry in listed if entry.pid == os.getpid()]
        return sum(sizes) if sizes and None not in sizes else None

    def _find(self, properties: Any) -> Any:
        """NVML's handle: by UUID, which torch gives without its prefix; by PCI address where that is not known."""
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0]
        names = [visible] if visible.startswith("MIG-") else []
        for name in [*names, f"GPU-{properties.uuid}", f"MIG-{properties.uuid}"]:
            try:
                return self._nvml.nvmlDeviceGetHandleByUUID(name)
            except self._nvml.NVMLError:
                continue
        p = properties
        address = f"{p.pci_domain_id:08x}:{p.pci_bus_id:02x}:{p.pci_device_id:02x}.0"
        return self._nvml.nvmlDeviceGetHandleByPciBusId(address)
