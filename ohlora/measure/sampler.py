"""A thread that samples this process's memory during the work and writes a timeline, kept if the process is killed.

Gaps between its ticks show when the process did not run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from ohlora.files import encode_json
from ohlora.measure.disturbance import Ticks
from ohlora.measure.gpu_state import SAMPLE_S as STATE_SAMPLE_S
from ohlora.measure.gpu_state import GpuState
from ohlora.measure.resident import Resident

MIB = 2**20
MEMORY_TIMELINE = "memory.jsonl"
SAMPLE_S = 0.02  # reading resident memory takes microseconds
DEVICE_SAMPLE_S = 0.2  # querying the driver takes milliseconds
LINE_S = 0.25  # each line of the timeline has the maximum within this time


class Sampler(threading.Thread):
    """Highest values of each phase in MiB; phases are entered and left under a lock.

    Every phase is sampled when it begins and ends, however short it is. `device_bytes` returns this process's memory
    on the GPU, or None if unknown.
    """

    def __init__(self, device_bytes: Callable[[], int | None] | None, timeline: Path | None, process: str) -> None:
        super().__init__(name="memory-sampler", daemon=True)
        self._device_bytes, self._process = device_bytes, process
        self._timeline: IO[str] | None = timeline.open("a", encoding="utf-8") if timeline else None
        self._lock = threading.Lock()
        self._resident = Resident()
        self._ended = False
        self.ticks = Ticks(SAMPLE_S)
        self._gpu: GpuState | None = None
        self._phase = ""
        self._peaks: dict[str, float] = {}
        self._line: dict[str, float] = {}
        self._next_device = self._next_line = self._next_state = 0.0

    def enter(self, phase: str, gpu: GpuState | None = None) -> None:
        """Count for this phase from now on; `gpu` gets the samples of the device's state."""
        with self._lock:
            self._phase, self._peaks, self._line = phase, {}, {}
            self.ticks, self._gpu = Ticks(SAMPLE_S), gpu
            self._next_state = 0.0
            self._next_line = time.monotonic() + LINE_S
            self._take(device=True)

    def leave(self) -> dict[str, float]:
        """End the phase and return its peaks."""
        with self._lock:
            self.ticks.tick()
            self._take(device=True)
            self._write_line()
            self._phase = ""
            return self._peaks

    def run(self) -> None:
        while not self._ended:
            time.sleep(SAMPLE_S)  # waiting for an event would cost twice as much
            with self._lock:
                if self._phase:
                    self.ticks.tick()
                    now = time.monotonic()
                    self._take(device=now >= self._next_device)
                    if now >= self._next_line:
                        self._write_line()

    def end(self) -> None:
        self._ended = True
        self.join()
        self._resident.close()
        if self._timeline:
            self._timeline.close()

    def _take(self, device: bool) -> None:
        rss, anonymous = self._resident()
        self._note("peak_rss_mib", "rss_mib", rss)
        self._note("peak_rss_anon_mib", None, anonymous)
        if device and self._device_bytes:
            asked = time.monotonic()
            used, now = self._device_bytes(), time.monotonic()
            self._note("peak_vram_device_mib", "vram_device_mib", used)
            self._next_device = now + DEVICE_SAMPLE_S
            if self._gpu and now >= self._next_state:
                self._gpu.take(holding=bool(used))
                self._next_state = now + STATE_SAMPLE_S
            self.ticks.leave_out(time.monotonic() - asked)

    def _note(self, peak: str, shown: str | None, value: int | None) -> None:
        if value is None:
            return
        self._peaks[peak] = max(value / MIB, self._peaks.get(peak, 0.0))
        if shown:
            self._line[shown] = max(round(value / MIB, 1), self._line.get(shown, 0.0))

    def _write_line(self) -> None:
        """Write the maximum since the last line; flushed, so that it is kept if the process is killed."""
        self._next_line = time.monotonic() + LINE_S
        if self._timeline and self._line:
            entry = {"time": round(time.time(), 2), "process": self._process, "phase": self._phase, **self._line}
            self._timeline.write(encode_json(entry) + "\n")
            self._timeline.flush()
        self._line = {}
