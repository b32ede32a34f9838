"""What is recorded of a machine's disturbances, and the criteria."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from fake_gpu import FakeCuda, FakeNvml, NVMLError, install

from ohlora.measure import counters
from ohlora.measure.disturbance import PAUSE_S, Ticks, find_disturbances, reasons
from ohlora.measure.gpu_state import GpuState
from ohlora.measure.memory import PhaseMemory
from ohlora.measure.sampler import Sampler
from ohlora.records.result import PhaseRecord, Result

# As recorded on a quiet machine of two cores (docs/disturbance.md).
QUIET = {
    "wall_s": 28.7, "threads": 2, "processors": 2, "cpu_share": 0.907, "others_cpu_share": 0.0148,
    "stolen_share": 0.003, "cpu_wait_s": 1.316, "cpu_wait_share": 0.0246, "cpu_pressure_share": 0.0321,
    "longest_pause_s": 0.31, "pauses_s": 0.591, "swapped_in_mib": 0.0, "major_page_faults": 7,
}  # fmt: skip


def test_a_quiet_phase_is_not_disturbed() -> None:
    assert reasons(QUIET) == [] and reasons({}) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"longest_pause_s": 3.04, "pauses_s": 3.04}, "longest_pause_s=3.0"),
        ({"longest_pause_s": 0.5, "pauses_s": 2.0}, "pauses_s=2.0"),
        ({"cpu_wait_share": 0.46, "cpu_wait_s": 53.7, "others_cpu_share": 0.45}, "cpu_wait_share=0.460"),
        ({"stolen_share": 0.05}, "stolen_share=0.050"),
        ({"swapped_in_mib": 9.0}, "swapped_in_mib=9"),
        (
            {"gpu_throttle_reasons": {"sw_power_cap": 0.9, "hw_thermal_slowdown": 0.2}},
            "gpu_throttle_reasons.hw_thermal_slowdown=0.20",
        ),
        ({"other_gpu_processes": 1}, "other_gpu_processes=1"),
    ],
)  # fmt: skip
def test_each_criterion(changed: dict[str, object], said: str) -> None:
    assert reasons({**QUIET, **changed}) == [said]


def test_others_count_where_waiting_is_not_counted() -> None:
    """With processors to spare others take nothing from us; how long we waited tells, where the system counts it."""
    assert reasons({**QUIET, "others_cpu_share": 0.6}) == []
    elsewhere = {key: value for key, value in QUIET.items() if not key.startswith("cpu_wait")}
    assert reasons({**elsewhere, "others_cpu_share": 0.6}) == ["others_cpu_share=0.600"]


def test_a_share_of_a_short_phase_must_amount_to_something() -> None:
    short = {**QUIET, "wall_s": 0.5, "pauses_s": 0.0, "longest_pause_s": 0.0}
    assert reasons({**short, "cpu_wait_share": 0.1, "cpu_wait_s": 0.1, "stolen_share": 0.03}) == []
    assert reasons({**short, "stolen_share": 0.3}) == ["stolen_share=0.300"]


def test_neither_the_time_nor_the_arm_is_looked_at() -> None:
    """A phase ten times as long is as quiet, and nothing in a record names an arm."""
    assert reasons({**QUIET, "wall_s": 287.0, "cpu_wait_s": 13.16}) == []
    assert reasons({**QUIET, "cpu_share": 0.1, "major_page_faults": 10**6}) == []


def test_loads_and_evaluations_are_recorded_and_not_judged() -> None:
    spoilt = {**QUIET, "longest_pause_s": 20.0}
    assert find_disturbances({"load": spoilt, "eval": spoilt, "train_load": spoilt, "infer": QUIET}) == {}
    assert find_disturbances({"infer": QUIET, "train": spoilt}) == {"train": ["longest_pause_s=20.0"]}


def watch(seconds: float) -> dict[str, object]:
    """The record of a phase that computes on one thread for so long."""
    memory = PhaseMemory("cpu")
    with memory.phase("train"):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            torch.ones(64, 64) @ torch.ones(64, 64)
    return memory.disturbance.records()["train"]


def test_what_is_counted_here() -> None:
    record = watch(0.5)
    assert record["wall_s"] == pytest.approx(0.5, abs=0.2) and record["processors"] == counters.count_processors()
    assert 0 < record["cpu_share"] <= 1.1 and record["swapped_in_mib"] == 0
    assert record["longest_pause_s"] < 0.25 and record["pauses_s"] == 0
    if sys.platform == "linux":
        assert {"cpu_wait_s", "cpu_wait_share", "stolen_share", "major_page_faults"} <= set(record)


def test_a_process_that_was_stopped_has_a_pause() -> None:
    code = "from test_disturbance import watch; import json; print('on', flush=True); print(json.dumps(watch(0.6)))"
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1]), *sys.path]),
    }
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=env)
    assert process.stdout and process.stdout.readline() == "on\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGSTOP)
    time.sleep(1.5)
    process.send_signal(signal.SIGCONT)
    record = json.loads(process.communicate(timeout=60)[0])
    assert record["longest_pause_s"] == pytest.approx(1.5, abs=0.2)
    assert reasons(record)[0] == f"longest_pause_s={record['longest_pause_s']:.1f}"


def test_a_pause_at_the_end_of_a_phase_belongs_to_it() -> None:
    ticks = Ticks(0.02)
    time.sleep(0.4)
    ticks.tick()
    time.sleep(0.01)
    ticks.tick()
    assert ticks.longest_s == pytest.approx(0.38, abs=0.05) and ticks.pauses_s == ticks.longest_s


def test_waiting_for_the_processor_is_counted() -> None:
    """Another process on the one processor that this thread may use: half of the time it waits."""
    allowed = os.sched_getaffinity(0)
    rival = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        one = {min(allowed)}
        os.sched_setaffinity(rival.pid, one)
        os.sched_setaffinity(0, one)
        before = counters.read_counters()
        until = time.monotonic() + 1
        while time.monotonic() < until:
            pass
        grown = counters.read_counters().since(before)
    finally:
        os.sched_setaffinity(0, allowed)
        rival.kill()
        rival.wait()
    assert grown["waiting"] > 0.2 and grown["running"] < 0.9


def test_a_system_that_counts_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "_waiting_s", lambda: None)
    monkeypatch.setattr(counters, "_pressure_s", lambda: None)
    record = watch(0.05)
    assert "others_cpu_share" in record and not {"cpu_wait_s", "cpu_wait_share", "cpu_pressure_share"} & set(record)


def test_a_phase_entered_again_adds_up() -> None:
    memory = PhaseMemory("cpu")
    with memory.phase("train"):
        time.sleep(0.1)
        for _ in range(2):
            with memory.phase("eval"):
                time.sleep(0.1)
    records = memory.disturbance.records()
    assert records["eval"]["wall_s"] == pytest.approx(0.2, abs=0.08)
    assert records["train"]["wall_s"] < 0.2


def test_the_load_of_a_later_process_has_its_own_record() -> None:
    result = Result("id", "failed", "benchmark", "a")
    for phase, pause in (("infer", 0.1), ("train", 0.2)):
        metrics = {"load/load_s": 1.0}
        record = PhaseRecord("finished", metrics=metrics, disturbance={"load": {"pauses_s": pause}, phase: {}})
        result.add(phase, record)
    assert {key: one.get("pauses_s") for key, one in result.disturbance.items()} == {
        "load": 0.1, "infer": None, "train_load": 0.2, "train": None,
    }  # fmt: skip


@pytest.mark.parametrize(("answer_s", "paused"), [(0.3, False), (1.0, True)])
def test_a_driver_that_answers_slowly_is_no_pause(answer_s: float, paused: bool) -> None:
    """Up to a bound: where the process stood still while the driver was asked, that is a pause all the same."""

    def ask() -> int:
        time.sleep(answer_s)
        return 0

    sampler = Sampler(ask, None, "train")
    sampler.start()
    sampler.enter("train")
    time.sleep(1.5 * answer_s)
    sampler.leave()
    sampler.end()
    assert (sampler.ticks.longest_s >= PAUSE_S) is paused and (sampler.ticks.pauses_s > 0) is paused


@pytest.fixture
def driver() -> FakeNvml:
    return FakeNvml(FakeCuda())


@pytest.mark.parametrize("is_before_535", [False, True])
def test_the_state_of_a_gpu(driver: FakeNvml, is_before_535: bool) -> None:
    driver.is_before_535 = is_before_535
    driver.cuda.take(100)
    state = GpuState(driver, "gpu")
    for clock, bits in ((1980, 0x4), (1980, 0x4), (1200, 0x44), (1975, 0)):
        driver.clock_mhz, driver.clock_reasons = clock, bits
        state.take(holding=True)
    assert state.record() == {
        "gpu_sm_clock_median_mhz": 1977.5, "gpu_sm_clock_min_mhz": 1200, "gpu_power_median_w": 300.0,
        "gpu_power_max_w": 300.0, "gpu_temperature_max_c": 55, "other_gpu_processes": 1,
        "gpu_throttle_reasons": {"sw_power_cap": 0.75, "hw_thermal_slowdown": 0.25},
    }  # fmt: skip


def test_our_own_process_under_its_outside_number_is_no_other(driver: FakeNvml) -> None:
    """The fake lists a process of number 1; in a container that is we, once we hold memory."""
    state = GpuState(driver, "gpu")
    state.take(holding=True)
    assert state.record()["other_gpu_processes"] == 0
    state.take(holding=False)
    assert state.record()["other_gpu_processes"] == 1


def test_a_driver_that_answers_nothing_leaves_nothing(driver: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise NVMLError("Not Supported")

    for name in ("ClockInfo", "CurrentClocksEventReasons", "Temperature", "PowerUsage", "ComputeRunningProcesses"):
        monkeypatch.setattr(driver, f"nvmlDeviceGet{name}", refuse)
    state = GpuState(driver, "gpu")
    state.take(holding=True)
    assert state.record() == {}


def test_a_phase_on_a_gpu_records_its_state(driver: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "cuda", driver.cuda)
    install(monkeypatch, driver)
    memory = PhaseMemory("cuda")
    with memory.phase("train"):
        driver.cuda.take(10)
    record = memory.disturbance.records()["train"]
    assert record["gpu_sm_clock_median_mhz"] == 1980 and record["gpu_temperature_max_c"] == 55
