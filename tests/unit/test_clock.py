"""Time on a device that works on its own: the clock waits for it. Only the device is faked."""

from __future__ import annotations

import time

import pytest
import torch
from fake_gpu import FakeCuda

from ohlora.measure import matmul
from ohlora.measure.clock import Clock, process_age_s


class Busy(FakeCuda):
    """Takes work at once and is done with it later."""

    done_at = 0.0

    def launch(self, seconds: float) -> None:
        self.done_at = time.perf_counter() + seconds

    def synchronize(self) -> None:
        super().synchronize()
        time.sleep(max(0.0, self.done_at - time.perf_counter()))


def test_the_clock_waits_for_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = Busy()
    monkeypatch.setattr(torch, "cuda", cuda)
    clock = Clock("cuda")
    started = clock.now()
    cuda.launch(0.1)
    assert clock.now() - started >= 0.1
    assert cuda.calls == ["synchronize"] * 2


def test_without_a_device_there_is_nothing_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = Busy()
    monkeypatch.setattr(torch, "cuda", cuda)
    assert Clock("cpu").now() <= time.perf_counter() and cuda.calls == []


def test_the_age_of_this_process() -> None:
    """It grows as time does: no less than what passed between two calls, no more than what passed around them."""
    first = time.monotonic()
    before, second = process_age_s(), time.monotonic()
    time.sleep(0.05)
    third, after = time.monotonic(), process_age_s()
    assert third - second - 0.001 <= after - before <= time.monotonic() - first + 0.001


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_matmul_peak_is_the_best_of_its_repeats(monkeypatch: pytest.MonkeyPatch, dtype: str) -> None:
    monkeypatch.setattr(matmul, "SIZES", {"cpu": (64, 128)})
    monkeypatch.setattr(matmul, "BOUND_S", 0.1)
    started = time.perf_counter()
    peak = matmul.matmul_peak("cpu", dtype)
    assert peak and 1e6 < peak < 1e15
    assert time.perf_counter() - started < 5


def test_a_full_device_has_no_matmul_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(torch, "randn", full)
    assert matmul.matmul_peak("cpu", "float32") is None
