"""What the driver says about this process, and what is made of it where it says little."""

from __future__ import annotations

import sys

import pytest
from fake_gpu import MIB, UUID, FakeCuda, FakeNvml, NVMLError

from ohlora.measure.nvml import Nvml


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    nvml = FakeNvml(FakeCuda())
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return nvml


def test_the_process_as_the_driver_counts_it(driver: FakeNvml) -> None:
    nvml = Nvml(driver.cuda)
    assert nvml.used_bytes() is None and nvml.source == ""  # nothing of ours is there yet
    driver.cuda.take(200)
    driver.others = 5000
    assert nvml.used_bytes() == 500 * MIB and (nvml.source, nvml.reason) == ("process", "")


@pytest.mark.parametrize("how", [{"shown": False}, {"size_known": False}, {"shown": False, "stranger": 50}])
def test_a_container_that_hides_processes(driver: FakeNvml, how: dict) -> None:
    """Not in the list, there without a size, or another process outside has the number that we have inside."""
    for key, value in how.items():
        setattr(driver, key, value)
    nvml = Nvml(driver.cuda)
    assert nvml.used_bytes() is None
    driver.cuda.take(200)
    assert nvml.used_bytes() == 500 * MIB and nvml.source == "device_difference"
    driver.others -= 900
    assert nvml.used_bytes() == 0


def test_no_nvml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    nvml = Nvml(FakeCuda())
    assert (nvml.source, nvml.reason, nvml.used_bytes()) == ("none", "nvidia-ml-py is not installed", None)


def test_a_driver_without_its_library(driver: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise NVMLError("NVML Shared Library Not Found")

    monkeypatch.setattr(driver, "nvmlInit", missing)
    nvml = Nvml(driver.cuda)
    assert (nvml.source, nvml.reason) == ("none", "NVML: NVML Shared Library Not Found")
    assert nvml.used_bytes() is None


def test_a_driver_that_stops_answering_ends_no_run(driver: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = Nvml(driver.cuda)
    driver.cuda.take(1)

    def lost(handle: str) -> list:
        raise NVMLError("GPU is lost")

    monkeypatch.setattr(driver, "nvmlDeviceGetComputeRunningProcesses", lost)
    assert nvml.used_bytes() is None and nvml.reason == "NVML: GPU is lost"


@pytest.mark.parametrize(
    ("known", "visible", "found"),
    [
        ((f"GPU-{UUID}", "GPU-other"), "1", f"GPU-{UUID}"),
        ((f"MIG-{UUID}",), None, f"MIG-{UUID}"),
        ((f"GPU-{UUID}", "MIG-part"), "MIG-part,MIG-next", "MIG-part"),
        ((), None, "00000000:3b:00.0"),
    ],
)
def test_the_device_is_found_by_its_identity(
    driver: FakeNvml, monkeypatch: pytest.MonkeyPatch, known: tuple[str, ...], visible: str | None, found: str
) -> None:
    driver.handles = known
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    asked: list[str] = []
    monkeypatch.setattr(
        driver, "nvmlDeviceGetMemoryInfo", lambda handle: asked.append(handle) or type("Memory", (), {"used": 0})
    )
    assert Nvml(driver.cuda).source == "" and asked == [found]
