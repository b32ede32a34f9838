"""Was a phase disturbed by other load? What is recorded, and the criteria (docs/disturbance.md).

Counters are read when a phase begins and ends, never inside a timed step; pauses are gaps between the sampler's ticks.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from ohlora.measure.counters import Counters, count_processors, read_counters
from ohlora.measure.gpu_state import GpuState

MIB = 2**20
PAUSE_S = 0.25  # a longer gap between two ticks of the sampler, normally 0.02 s apart, is a pause
ANSWER_S = 0.5  # the most of a gap that may be waiting for the GPU's driver

# The criteria, fixed in advance: they depend neither on a measured time nor on the arm. docs/disturbance.md explains
# each bound.
LONGEST_PAUSE_S = 1.0
PAUSES_SHARE = 0.05
CPU_WAIT_SHARE = 0.05
OTHERS_CPU_SHARE = 0.10
STOLEN_SHARE = 0.02
SWAPPED_IN_MIB = 8.0  # the error of the memory measurement
THROTTLED_SHARE = 0.05
THROTTLED = ("hw_slowdown", "hw_thermal_slowdown", "hw_power_brake", "sw_thermal_slowdown")
LEAST_S = 0.2  # least time for a share of processor time: short phases are counted in few ticks
JUDGED = ("infer", "train")  # the phases in the user's table; loading may wait for the disk, evaluation is not timed


def reasons(record: Mapping[str, Any]) -> list[str]:
    """Why a phase is disturbed, as 'name=value' of every exceeded bound; empty if it is not.

    `record` is the phase's entry under `disturbance` in result.json; a missing value is no reason.
    """
    number = {key: float(value) for key, value in record.items() if isinstance(value, int | float)}
    wall, processors = number.get("wall_s", 0.0), number.get("processors", 1.0)
    longest, paused = number.get("longest_pause_s", 0.0), number.get("pauses_s", 0.0)
    waited, others = number.get("cpu_wait_share"), number.get("others_cpu_share", 0.0)
    stolen, swapped = number.get("stolen_share", 0.0), number.get("swapped_in_mib", 0.0)
    throttled: Mapping[str, float] = record.get("gpu_throttle_reasons") or {}
    passed = {
        f"longest_pause_s={longest:.1f}": longest >= LONGEST_PAUSE_S,
        f"pauses_s={paused:.1f}": longest < LONGEST_PAUSE_S <= paused and paused >= PAUSES_SHARE * wall,
        f"cpu_wait_share={waited or 0:.3f}": (waited or 0) >= CPU_WAIT_SHARE and number["cpu_wait_s"] >= LEAST_S,
        # Other programs do not slow us down if there are enough processors; our waiting time shows it, if counted.
        f"others_cpu_share={others:.3f}": waited is None
        and others >= OTHERS_CPU_SHARE
        and others * wall * processors >= LEAST_S,
        f"stolen_share={stolen:.3f}": stolen >= STOLEN_SHARE and stolen * wall * processors >= LEAST_S,
        f"swapped_in_mib={swapped:.0f}": swapped >= SWAPPED_IN_MIB,
        **{
            f"gpu_throttle_reasons.{name}={throttled.get(name, 0.0):.2f}": throttled.get(name, 0.0) >= THROTTLED_SHARE
            for name in THROTTLED
        },
        f"other_gpu_processes={number.get('other_gpu_processes', 0):.0f}": number.get("other_gpu_processes", 0) > 0,
    }
    return [text for text, disturbed in passed.items() if disturbed]


def find_disturbances(disturbance: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Phase -> reasons, for the judged phases that are disturbed."""
    found = {phase: reasons(disturbance[phase]) for phase in JUDGED if phase in disturbance}
    return {phase: why for phase, why in found.items() if why}


class Ticks:
    """Gaps between the sampler's ticks, beyond the intended interval."""

    def __init__(self, every_s: float) -> None:
        self.longest_s = self.pauses_s = 0.0
        self._every_s, self._last = every_s, time.monotonic()

    def tick(self) -> None:
        now = time.monotonic()
        gap = now - self._last - self._every_s
        self._last, self.longest_s = now, max(self.longest_s, gap)
        if gap >= PAUSE_S:
            self.pauses_s += gap

    def leave_out(self, seconds: float) -> None:
        """Do not count the time that the sampler itself waited for the driver since the last tick."""
        self._last += min(seconds, ANSWER_S)


class DisturbanceWatch:
    """Records disturbances of named phases. A phase entered again adds up; an inner phase pauses the outer one.

    `gpu` creates the record of the GPU's state; None without a GPU.
    """

    def __init__(self, gpu: Callable[[], GpuState] | None = None) -> None:
        self.states: dict[str, GpuState] = {}
        self._new_state = gpu
        self._sums: dict[str, dict[str, float]] = {}
        self._begun: Counters | None = None

    def enter(self, phase: str) -> None:
        if self._new_state and phase not in self.states:
            self.states[phase] = self._new_state()
        self._begun = read_counters()

    def leave(self, phase: str, ticks: Ticks) -> None:
        """End the interval that `enter` began."""
        assert self._begun is not None
        sums = self._sums.setdefault(phase, {})
        for key, value in (read_counters().since(self._begun) | {"pauses": ticks.pauses_s}).items():
            sums[key] = sums.get(key, 0.0) + value
        sums["longest"] = max(sums.get("longest", 0.0), ticks.longest_s)

    def records(self) -> dict[str, dict[str, Any]]:
        """Phase -> its record, without what this system does not count."""
        return {
            phase: _record(sums) | (self.states[phase].record() if phase in self.states else {})
            for phase, sums in self._sums.items()
        }


def _record(sums: Mapping[str, float]) -> dict[str, Any]:
    wall, processors = max(sums["wall"], 1e-9), count_processors()
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else processors
    found: dict[str, Any] = {
        "wall_s": round(wall, 3),
        "threads": threads,
        "processors": processors,
        "cpu_share": round(sums["running"] / (wall * threads), 4),
        "others_cpu_share": round(max(0.0, sums["busy"] - sums["own"]) / (wall * processors), 4),
        "longest_pause_s": round(max(0.0, sums["longest"]), 3),
        "pauses_s": round(sums["pauses"], 3),
        "swapped_in_mib": round(sums["swapped_in"] / MIB, 1),
    }
    if "stolen" in sums:
        found["stolen_share"] = round(sums["stolen"] / (wall * processors), 4)
    if "waiting" in sums:
        found["cpu_wait_s"] = round(sums["waiting"], 3)
        found["cpu_wait_share"] = round(sums["waiting"] / max(sums["waiting"] + sums["running"], 1e-9), 4)
    if "pressure" in sums:
        found["cpu_pressure_share"] = round(sums["pressure"] / wall, 4)
    if "major_page_faults" in sums:
        found["major_page_faults"] = int(sums["major_page_faults"])
    return found
