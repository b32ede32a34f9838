"""The state of a GPU during a phase, from NVML: clock, throttling, temperature, power, other processes."""

from __future__ import annotations

import contextlib
import os
from statistics import median
from typing import Any

from ohlora.measure.gpus import driver_errors

# Name -> bit of NVML's clocks event reasons: https://docs.nvidia.com/deploy/nvml-api/
REASONS = {
    "sw_power_cap": 0x4,
    "hw_slowdown": 0x8,
    "sync_boost": 0x10,
    "sw_thermal_slowdown": 0x20,
    "hw_thermal_slowdown": 0x40,
    "hw_power_brake": 0x80,
}
SAMPLE_S = 1.0  # six queries to the driver, which take milliseconds


class GpuState:
    """Samples of one device. `nvml` is the module pynvml, `device` its handle; what it does not report is absent."""

    def __init__(self, nvml: Any, device: Any) -> None:
        self._nvml, self._device = nvml, device
        self._clocks: list[int] = []
        self._watts: list[float] = []
        self._temperatures: list[int] = []
        self._reasons: list[int] = []
        self._others: list[int] = []

    def take(self, holding: bool) -> None:
        """Take one sample; `holding`: this process has memory on the device and so is in the driver's list."""
        nvml, device, errors = self._nvml, self._device, driver_errors(self._nvml)
        with contextlib.suppress(*errors):
            self._clocks.append(nvml.nvmlDeviceGetClockInfo(device, nvml.NVML_CLOCK_SM))
        with contextlib.suppress(*errors):
            self._watts.append(nvml.nvmlDeviceGetPowerUsage(device) / 1000)
        with contextlib.suppress(*errors):
            self._temperatures.append(nvml.nvmlDeviceGetTemperature(device, nvml.NVML_TEMPERATURE_GPU))
        with contextlib.suppress(*errors):
            self._reasons.append(_clock_reasons(nvml, device))
        with contextlib.suppress(*errors):
            listed = [entry.pid for entry in nvml.nvmlDeviceGetComputeRunningProcesses(device)]
            others = [pid for pid in listed if pid != os.getpid()]
            # In a container our process may be listed under its number outside.
            hidden = holding and bool(others) and os.getpid() not in listed
            self._others.append(len(others) - hidden)

    def record(self) -> dict[str, Any]:
        """Summarise the samples."""
        found: dict[str, Any] = {}
        if self._clocks:
            found["gpu_sm_clock_median_mhz"] = median(self._clocks)
            found["gpu_sm_clock_min_mhz"] = min(self._clocks)
        if self._watts:
            found["gpu_power_median_w"] = round(median(self._watts), 1)
            found["gpu_power_max_w"] = round(max(self._watts), 1)
        if self._temperatures:
            found["gpu_temperature_max_c"] = max(self._temperatures)
        if self._reasons:
            shares = {
                name: sum(bool(r & bit) for r in self._reasons) / len(self._reasons) for name, bit in REASONS.items()
            }
            found["gpu_throttle_reasons"] = {name: round(share, 3) for name, share in shares.items() if share}
        if self._others:
            found["other_gpu_processes"] = max(self._others)
        return found


def _clock_reasons(nvml: Any, device: Any) -> int:
    """Bits of REASONS. The function has its name since driver 535; the former one goes with CUDA 14."""
    try:
        bits = nvml.nvmlDeviceGetCurrentClocksEventReasons(device)
    except driver_errors(nvml):
        bits = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(device)
    return int(bits)
