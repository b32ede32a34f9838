"""Peak memory per phase: from the GPU allocator, from the driver, and resident memory.

The same phases record disturbances.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ohlora.measure.disturbance import DisturbanceWatch
from ohlora.measure.nvml import Nvml
from ohlora.measure.sampler import MIB, Sampler


class PhaseMemory:
    """Peaks of named phases of this process. Phases do not overlap: an inner one pauses the outer.

    A phase entered again keeps its highest peak. Units: MiB (2^20 bytes). Without a GPU the VRAM keys are absent.
    Resident memory is sampled every 20 ms, the driver's count every 200 ms; anonymous memory excludes file-backed
    pages such as mapped weights. `timeline` gets a JSON line four times a second.
    """

    def __init__(self, device: str, timeline: Path | None = None, process: str = "") -> None:
        self.peaks: dict[str, dict[str, float]] = {}
        self.nvml: Nvml | None = None
        self._timeline, self._process = timeline, process
        self._cuda = None
        if device == "cuda":
            import torch

            self._cuda = torch.cuda
            self.nvml = Nvml(torch.cuda)
        self.disturbance = DisturbanceWatch(self.nvml.state if self.nvml and self.nvml.source != "none" else None)
        self._open: list[str] = []
        self._sampler: Sampler | None = None

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure the peaks of the block as `name/peak_…_mib`."""
        if self._open:
            self._leave()
        else:
            self._sampler = Sampler(self.nvml.used_bytes if self.nvml else None, self._timeline, self._process)
            self._sampler.start()
        self._open.append(name)
        self._enter()
        try:
            yield
        finally:
            self._leave()
            self._open.pop()
            if self._open:
                self._enter()
            elif self._sampler:
                self._sampler.end()

    def metrics(self) -> dict[str, float]:
        """'phase/key' -> MiB, for all phases so far."""
        return {f"{phase}/{key}": value for phase, peaks in self.peaks.items() for key, value in peaks.items()}

    def _enter(self) -> None:
        if self._cuda:
            self._cuda.synchronize()
            self._cuda.reset_peak_memory_stats()
        assert self._sampler is not None
        self.disturbance.enter(self._open[-1])
        self._sampler.enter(self._open[-1], self.disturbance.states.get(self._open[-1]))

    def _leave(self) -> None:
        assert self._sampler is not None
        if self._cuda:
            self._cuda.synchronize()
        found = self._sampler.leave()
        self.disturbance.leave(self._open[-1], self._sampler.ticks)
        if self._cuda:
            found["peak_vram_mib"] = self._cuda.max_memory_allocated() / MIB
            found["peak_vram_reserved_mib"] = self._cuda.max_memory_reserved() / MIB
        held = self.peaks.setdefault(self._open[-1], {})
        for key, value in found.items():
            held[key] = max(value, held.get(key, 0.0))
