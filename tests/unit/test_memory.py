"""Memory of a phase against allocations of a known size: at most 2 % or 8 MiB off."""

from __future__ import annotations

import contextlib
import ctypes
import json
import mmap
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy
import pytest
import torch
from fake_gpu import FakeCuda, FakeNvml, install

from ohlora.files import read_jsonl
from ohlora.measure.memory import PhaseMemory
from ohlora.measure.resident import process_peak_mib

pytestmark = pytest.mark.alone

MIB = 2**20


def mapped(size: int) -> mmap.mmap:
    """Touched pages straight from the system, which has them back when they are freed; a heap may keep its own."""
    block = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for page in range(0, size, mmap.PAGESIZE):
        block[page] = 1
    return block


ALLOCATORS: dict[str, Callable[[int], object]] = {
    "mmap": mapped,
    "bytearray": lambda size: bytearray(b"x") * size,
    "numpy": lambda size: numpy.ones(size, numpy.uint8),
    "torch": lambda size: torch.ones(size, dtype=torch.uint8),
}


def about(mib: float) -> object:
    return pytest.approx(mib, abs=max(8, 0.02 * mib))


def hold(mib: int, by: str = "mmap") -> None:
    block = ALLOCATORS[by](mib * MIB)
    time.sleep(0.03)
    del block


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    """Heap that earlier tests have freed goes back to the system: out of it an allocation would grow nothing."""
    with contextlib.suppress(AttributeError, OSError):  # glibc alone keeps and trims
        ctypes.CDLL(None).malloc_trim(0)


def grown(found: dict[str, float], phase: str, key: str = "peak_rss_mib") -> float:
    return found[f"{phase}/{key}"] - found[f"quiet/{key}"]


@pytest.mark.parametrize("by", ALLOCATORS)
@pytest.mark.parametrize("mib", [32, 128, 512])
def test_a_known_allocation_is_found_in_its_phase(by: str, mib: int) -> None:
    ALLOCATORS[by](1024)  # whatever is set up once
    memory = PhaseMemory("cpu")
    with memory.phase("quiet"):
        time.sleep(0.03)
    with memory.phase("big"):
        hold(mib, by)
    found = memory.metrics()
    assert grown(found, "big") == about(mib)
    assert grown(found, "big", "peak_rss_anon_mib") == about(mib)
    assert (process_peak_mib() or 0) >= found["big/peak_rss_mib"] - 1
    assert not any("vram" in key for key in found)


def test_phases_exclude_each_other() -> None:
    """Nested twice, entered again, and after memory was freed: each phase shows its own."""
    memory = PhaseMemory("cpu")
    with memory.phase("quiet"):
        time.sleep(0.03)
    with memory.phase("train"):
        hold(64)
        with memory.phase("eval"):
            hold(256)
            with memory.phase("inner"):
                hold(400)
        with memory.phase("eval"):
            hold(32)
    hold(500)
    with memory.phase("after"):
        time.sleep(0.03)
    found = memory.metrics()
    for phase, mib in {"train": 64, "eval": 256, "inner": 400, "after": 0}.items():
        assert grown(found, phase) == about(mib), phase


def test_what_the_outer_phase_holds_is_there_in_the_inner() -> None:
    memory = PhaseMemory("cpu")
    with memory.phase("quiet"):
        time.sleep(0.03)
    with memory.phase("train"):
        block = mapped(64 * MIB)
        with memory.phase("eval"):
            hold(128)
        del block
    assert grown(memory.metrics(), "eval") == about(192)


def test_a_phase_shorter_than_a_sample_has_its_peak() -> None:
    memory = PhaseMemory("cpu")
    with memory.phase("quiet"):
        pass
    with memory.phase("short"):
        block = torch.ones(64 * MIB, dtype=torch.uint8)
    assert grown(memory.metrics(), "short") == about(64)
    del block


def test_the_timeline_of_a_killed_process_stays(tmp_path: Path) -> None:
    code = """
import os, sys, time
from pathlib import Path
from ohlora.measure.memory import PhaseMemory
memory = PhaseMemory("cpu", Path(sys.argv[1]), "train")
with memory.phase("load"):
    time.sleep(0.6)
with memory.phase("train"):
    block = bytearray(b"x") * (200 * 2**20)
    time.sleep(0.6)
    os.kill(os.getpid(), 9)
"""
    file = tmp_path / "memory.jsonl"
    done = subprocess.run([sys.executable, "-c", code, str(file)], env={**os.environ}, check=False)
    assert done.returncode == -signal.SIGKILL
    lines = read_jsonl(file)
    assert {line["process"] for line in lines} == {"train"}
    assert [line["phase"] for line in lines] == sorted(line["phase"] for line in lines)  # load, then train
    assert 4 <= len(lines) <= 8 and "vram_device_mib" not in lines[0]
    assert lines[-1]["rss_mib"] - lines[0]["rss_mib"] == about(200)
    assert all(0 < later["time"] - line["time"] < 1 for line, later in pairwise(lines))


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    nvml = FakeNvml(FakeCuda())
    monkeypatch.setattr(torch, "cuda", nvml.cuda)
    install(monkeypatch, nvml)
    return nvml


def test_vram_of_nested_phases(gpu: FakeNvml, tmp_path: Path) -> None:
    """Peaks are torch's own counters, so even what is freed at once counts, and only where it was allocated."""
    cuda, file = gpu.cuda, tmp_path / "memory.jsonl"
    memory = PhaseMemory("cuda", file, "train")
    with memory.phase("load"):
        cuda.take(100)
    with memory.phase("train"):
        cuda.take(50)
        cuda.give(50)
        with memory.phase("eval"):
            cuda.take(400)
            cuda.give(400)
        cuda.take(20)
    found = memory.metrics()
    assert {phase: found[f"{phase}/peak_vram_mib"] for phase in memory.peaks} == {
        "load": 100,
        "train": 150,
        "eval": 500,
    }
    assert found["load/peak_vram_reserved_mib"] == 100 and found["eval/peak_vram_reserved_mib"] == 500
    assert found["eval/peak_vram_device_mib"] == 800 and memory.nvml and memory.nvml.source == "process"
    assert [json.loads(line)["vram_device_mib"] for line in file.read_text().splitlines()] == [400, 450, 800, 800]
