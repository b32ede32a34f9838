"""Peak memory, phase by phase: what the GPU allocator counted, or what the process had resident."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

MIB = 2**20
SAMPLE_S = 0.02


class PhaseMemory:
    """Peaks of named phases of this process. Phases exclude each other: while an inner one runs, the outer pauses.

    A phase entered again keeps its highest peak. Units: MiB (2^20 bytes). Without a GPU the VRAM keys are absent.
    Resident memory is sampled every 20 ms by a thread that reads one small file; anonymous memory leaves out
    file-backed pages such as mapped weights.
    """

    def __init__(self, device: str) -> None:
        self.peaks: dict[str, dict[str, float]] = {}
        self._cuda = None
        if device == "cuda":
            import torch

            self._cuda = torch.cuda
        self._open: list[str] = []
        self._sampler: _Sampler | None = None

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure the peaks of the block as `name/peak_…_mib`."""
        self._stop()
        self._open.append(name)
        self._start()
        try:
            yield
        finally:
            self._stop()
            self._open.pop()
            self._start()

    def metrics(self) -> dict[str, float]:
        """'phase/key' -> MiB, of all phases so far."""
        return {f"{phase}/{key}": value for phase, peaks in self.peaks.items() for key, value in peaks.items()}

    def _start(self) -> None:
        if not self._open:
            return
        if self._cuda:
            self._cuda.synchronize()
            self._cuda.reset_peak_memory_stats()
        self._sampler = _Sampler()
        self._sampler.start()

    def _stop(self) -> None:
        if self._sampler is None:
            return
        rss, anonymous = self._sampler.stop()
        self._sampler = None
        found = {"peak_rss_mib": rss / MIB}
        if anonymous is not None:
            found["peak_rss_anon_mib"] = anonymous / MIB
        if self._cuda:
            self._cuda.synchronize()
            found["peak_vram_mib"] = self._cuda.max_memory_allocated() / MIB
            found["peak_vram_reserved_mib"] = self._cuda.max_memory_reserved() / MIB
        held = self.peaks.setdefault(self._open[-1], {})
        for key, value in found.items():
            held[key] = max(value, held.get(key, 0.0))


def process_peak_mib() -> float | None:
    """VmHWM: the most that was ever resident in this process; None where the system does not tell."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return None


def resident() -> tuple[int, int | None]:
    """(resident, anonymous) bytes of this process now; anonymous is None off Linux."""
    try:
        fields = Path("/proc/self/statm").read_bytes().split()
    except OSError:
        import psutil

        return psutil.Process().memory_info().rss, None
    page = os.sysconf("SC_PAGE_SIZE")
    return int(fields[1]) * page, (int(fields[1]) - int(fields[2])) * page


class _Sampler(threading.Thread):
    def __init__(self) -> None:
        super().__init__(name="memory-sampler", daemon=True)
        self._done = threading.Event()
        self._rss, self._anonymous = resident()

    def run(self) -> None:
        while not self._done.wait(SAMPLE_S):
            self._take()

    def stop(self) -> tuple[int, int | None]:
        self._done.set()
        self.join()
        self._take()
        return self._rss, self._anonymous

    def _take(self) -> None:
        rss, anonymous = resident()
        self._rss = max(self._rss, rss)
        if anonymous is not None:
            self._anonymous = max(self._anonymous or 0, anonymous)
