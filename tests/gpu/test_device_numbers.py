"""On a CUDA device: memory against allocations of a known size, a clock that waits, and what the device is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ohlora.files import read_jsonl
from ohlora.measure.clock import Clock
from ohlora.measure.device import describe
from ohlora.measure.gpus import VISIBLE, list_gpus
from ohlora.measure.matmul import matmul_peak
from ohlora.measure.memory import PhaseMemory
from ohlora.measure.shortage import explain_shortage, is_out_of_memory

pytestmark = pytest.mark.gpu
MIB = 2**20


@pytest.fixture(autouse=True)
def narrowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a run's process: the look-up by UUID finds the device that torch computes on, also where there are several.

    CUDA has started in this process before (pytest asked for a device), so this changes nothing for torch.
    """
    uuid = str(torch.cuda.get_device_properties(0).uuid)
    names = [gpu.uuid for gpu in list_gpus()]
    monkeypatch.setenv(VISIBLE, next((name for name in names if name.endswith(uuid)), ""))


def block(mib: int) -> torch.Tensor:
    return torch.ones(mib * MIB, dtype=torch.uint8, device="cuda")


def about(mib: float) -> object:
    return pytest.approx(mib, abs=max(8, 0.02 * mib))


def test_vram_of_nested_phases(tmp_path: Path) -> None:
    file = tmp_path / "memory.jsonl"
    memory = PhaseMemory("cuda", file, "train")
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated() / MIB
    with memory.phase("load"):
        held = block(256)
    with memory.phase("train"):
        block(512)
        with memory.phase("eval"):
            block(1024)
        torch.cuda.empty_cache()
    with memory.phase("after"):
        pass
    found = memory.metrics()
    for phase, mib in {"load": 256, "train": 768, "eval": 1280, "after": 256}.items():
        assert found[f"{phase}/peak_vram_mib"] - before == about(mib), phase
        assert found[f"{phase}/peak_vram_reserved_mib"] >= found[f"{phase}/peak_vram_mib"]
    assert memory.nvml is not None and memory.nvml.source in ("process", "device_difference"), memory.nvml
    if memory.nvml.source == "process":
        assert found["load/peak_vram_device_mib"] >= found["load/peak_vram_mib"]
    assert all("vram_device_mib" in line for line in read_jsonl(file)[1:])
    del held


def test_the_clock_waits_for_the_device() -> None:
    """Ten large products are handed over in microseconds; the device is busy with them far longer."""
    clock, left = Clock("cuda"), torch.randn(8192, 8192, device="cuda")
    left @ left
    started = clock.now()
    for _ in range(10):
        left @ left
    assert clock.now() - started > 10 * 2 * 8192**3 / 5e15  # no device does 5 PFLOP/s in float32


def test_the_matmul_peak_is_one_that_a_device_can_have() -> None:
    peak = matmul_peak("cuda", "float16")
    assert peak is not None and 1e12 < peak < 1e16


def test_what_the_device_is() -> None:
    facts = describe("cuda")
    major, minor = torch.cuda.get_device_capability()
    assert facts["compute_capability"] == f"{major}.{minor}" and facts["vram_mib"] > 0


def test_out_of_memory_says_what_the_device_had() -> None:
    with pytest.raises(torch.OutOfMemoryError) as caught:
        torch.empty(2**45, dtype=torch.uint8, device="cuda")
    assert is_out_of_memory(caught.value)
    text = explain_shortage(caught.value)
    assert text.startswith("asked for 33,554,432 MiB; the GPU has ")
