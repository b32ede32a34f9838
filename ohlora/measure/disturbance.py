"""Was the machine quiet while a phase ran? What is recorded of it, and the criteria (docs/disturbance.md).

Counters are read where a phase begins and ends, never inside a timed step; the sampler's ticks tell pauses.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from ohlora.measure.counters import Counters, count_processors, read_counters
from ohlora.measure.gpu_state import GpuState

MIB = 2**20
PAUSE_S = 0.25  # a gap between two ticks of the sampler, which are 0.02 s apart, is a pause from here on
ANSWER_S = 0.5  # so much of a gap may be the time that a GPU's driver took to answer the sampler

# The criteria, fixed beforehand: they look neither at a measured time nor at the arm. docs/disturbance.md says why
# each bound lies where it does.
LONGEST_PAUSE_S = 1.0
PAUSES_SHARE = 0.05
CPU_WAIT_SHARE = 0.05
OTHERS_CPU_SHARE = 0.10
STOLEN_SHARE = 0.02
SWAPPED_IN_MIB = 8.0  # the error that memory is measured with
THROTTLED_SHARE = 0.05
THROTTLED = ("hw_slowdown", "hw_thermal_slowdown", "hw_power_brake", "sw_thermal_slowdown")
LEAST_S = 0.2  # what a share of the processor's time must amount to: a short phase is counted in few ticks
JUDGED = ("infer", "train")  # the phases of the user's table; a load may wait for the disk, an evaluation is not timed


def reasons(record: Mapping[str, Any]) -> list[str]:
    """Why a phase is disturbed, as 'name=value' of what passes its bound; empty: it is not.

    `record` is what result.json has of the phase under `disturbance`; what it lacks was not counted: no reason.
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
        # Others take nothing from us where there are processors enough; how long we waited tells, where it is counted.
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
    """Phase -> reasons, of the judged phases that are disturbed."""
    found = {phase: reasons(disturbance[phase]) for phase in JUDGED if phase in disturbance}
    return {phase: why for phase, why in found.items() if why}


class Ticks:
    """Gaps between the sampler's ticks, over the time that is meant to lie between them."""

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
        """The sampler itself has waited so long for the driver since the last tick: that is no pause of the work."""
        self._last += min(seconds, ANSWER_S)


class DisturbanceWatch:
    """What disturbed named phases of this process. A phase entered again adds up; an inner one interrupts the outer.

    `gpu` makes the state of the device that this process computes on; None without one.
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
        """End the stretch that `enter` began."""
        assert self._begun is not None
        sums = self._sums.setdefault(phase, {})
        for key, value in (read_counters().since(self._begun) | {"pauses": ticks.pauses_s}).items():
            sums[key] = sums.get(key, 0.0) + value
        sums["longest"] = max(sums.get("longest", 0.0), ticks.longest_s)

    def records(self) -> dict[str, dict[str, Any]]:
        """Phase -> its record; what this system does not count is absent."""
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
