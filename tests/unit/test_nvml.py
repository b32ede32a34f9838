"""What the driver says about this process, and what is made of it where it says little."""

from __future__ import annotations

import sys

import pytest
from fake_gpu import MIB, UUID, FakeCuda, FakeNvml, NVMLError, NVMLLibraryMismatchError, install

from ohlora.measure.gpus import CHOSEN, ORDER, VISIBLE, narrow_process
from ohlora.measure.nvml import Nvml


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    nvml = FakeNvml(FakeCuda())
    install(monkeypatch, nvml)
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


@pytest.mark.parametrize("error", [NVMLError("Not Supported"), NVMLLibraryMismatchError("Unversioned function called")])
def test_a_driver_without_a_list_of_processes(
    driver: FakeNvml, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """On WSL2 and with a driver older than the function: what the device has more of tells instead."""

    def refuse(handle: str) -> list:
        raise error

    monkeypatch.setattr(driver, "nvmlDeviceGetComputeRunningProcesses", refuse)
    nvml = Nvml(driver.cuda)
    assert nvml.used_bytes() is None and nvml.source == ""
    driver.cuda.take(200)
    assert nvml.used_bytes() == 500 * MIB
    assert (nvml.source, nvml.reason) == ("device_difference", f"NVML: {error}")


def test_a_driver_that_stops_answering_ends_no_run(driver: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = Nvml(driver.cuda)
    driver.cuda.take(1)
    assert nvml.used_bytes() == 301 * MIB

    def lost(handle: str) -> list:
        raise NVMLError("GPU is lost")

    for name in ("ComputeRunningProcesses", "MemoryInfo"):
        monkeypatch.setattr(driver, f"nvmlDeviceGet{name}", lost)
    assert nvml.used_bytes() is None and (nvml.source, nvml.reason) == ("process", "NVML: GPU is lost")


@pytest.mark.parametrize(
    ("known", "visible", "found"),
    [
        (("GPU-first", f"GPU-{UUID}"), f"GPU-{UUID}", f"GPU-{UUID}"),
        (("GPU-first", "GPU-second"), "0", "GPU-first"),
        (("GPU-first", "GPU-second"), None, "GPU-first"),
    ],
)
def test_the_device_is_the_one_that_the_process_was_left(
    driver: FakeNvml, monkeypatch: pytest.MonkeyPatch, known: tuple[str, ...], visible: str | None, found: str
) -> None:
    driver.uuids = known
    monkeypatch.setenv(ORDER, "")  # restored afterwards
    monkeypatch.delenv(CHOSEN)
    monkeypatch.delenv(VISIBLE)
    if visible:
        monkeypatch.setenv(VISIBLE, visible)
    narrow_process("auto")
    asked: list[str] = []
    by_uuid = driver.nvmlDeviceGetHandleByUUID
    monkeypatch.setattr(driver, "nvmlDeviceGetHandleByUUID", lambda uuid: asked.append(uuid) or by_uuid(uuid))
    assert Nvml(driver.cuda).source == "" and asked == [found]


def test_a_device_that_the_driver_does_not_show(driver: FakeNvml) -> None:
    driver.uuids = ("GPU-first",)
    nvml = Nvml(driver.cuda)
    assert (nvml.source, nvml.reason) == ("none", "NVML shows this process no GPU")
