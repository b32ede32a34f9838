"""Out of memory: what was asked for and what there was stand in the reason, and a kill for memory is no other kill."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
import torch

from ohlora.measure import cgroup
from ohlora.measure.resident import Resident
from ohlora.measure.shortage import explain_kill, explain_shortage, is_out_of_memory
from ohlora.running import phases, process

MIB = 2**20


def failing(kind: str) -> BaseException:
    try:
        if kind == "torch":
            torch.empty(2**45, dtype=torch.uint8)
        elif kind == "numpy":
            numpy.empty(2**45, numpy.uint8)
        else:
            bytearray(2**60)
    except (RuntimeError, MemoryError) as error:
        return error
    raise AssertionError("32 TiB were there")


@pytest.mark.parametrize(
    ("kind", "asked"),
    [("torch", "asked for 33,554,432 MiB;"), ("numpy", "asked for 33,554,432 MiB;"), ("python", "(MemoryError);")],
)
def test_a_request_that_failed_says_its_size_and_what_there_was(kind: str, asked: str) -> None:
    error = failing(kind)
    assert is_out_of_memory(error)
    text = explain_shortage(error)
    assert text.startswith("asked for") and asked in text
    assert "the machine has" in text or "control group" in text
    assert f"this process had {Resident()()[0] / MIB:,.0f}"[:-1] in text


@pytest.mark.parametrize("free", [(5 * 2**30, 80 * 2**30), None])
def test_out_of_memory_on_a_gpu(monkeypatch: pytest.MonkeyPatch, free: tuple[int, int] | None) -> None:
    def info() -> tuple[int, int]:
        if free is None:
            raise RuntimeError("CUDA error: out of memory")
        return free

    monkeypatch.setattr(torch.cuda, "mem_get_info", info)
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 80.")
    text = explain_shortage(error)
    assert text.startswith("asked for 20,480 MiB; ")
    assert ("the GPU has 81,920 MiB, 5,120 MiB of it free" in text) == (free is not None)
    assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError("shapes cannot be multiplied"))


@pytest.mark.parametrize(
    "words",
    [
        "CUDA error: out of memory",
        "CUDA driver error: out of memory",
        "Triton Error [CUDA]: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    ],
)
def test_out_of_memory_in_a_library_s_own_words(words: str) -> None:
    assert is_out_of_memory(RuntimeError(words))


def test_what_another_process_held_is_not_said_of_the_killed_one(tmp_path: Path) -> None:
    timeline = tmp_path / "memory.jsonl"
    timeline.write_text('{"process": "infer", "rss_mib": 900}\n{"process": "train", "rss_mib": 7')
    assert "resident" not in explain_kill(timeline, "train", None)
    text = explain_kill(timeline, "infer", 2**30)
    assert "with 900 MiB resident at the last sample; the limit of its control group is 1,024 MiB" in text


TREES = {
    "version 2": ("0::/user/job\n", "user/job", "memory.events", "memory.max", "max"),
    "version 2, in a container": ("0::/outside/job\n", ".", "memory.events", "memory.max", "max"),
    "version 1": ("0::/\n9:name=systemd:/\n4:memory:/job\n", "memory/job", "memory.oom_control", None, None),
    "version 1, in a container": ("12:cpu,memory:/docker/a\n", "memory", "memory.oom_control", None, None),
}


@pytest.mark.parametrize("tree", TREES)
def test_control_groups_of_both_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tree: str) -> None:
    line, place, counter, limit, none = TREES[tree]
    limit, none = limit or "memory.limit_in_bytes", none or "9223372036854771712"
    root, proc = tmp_path / "cgroup", tmp_path / "proc"
    folder = root / place
    folder.mkdir(parents=True)
    for pid in ("7", "self"):
        (proc / pid).mkdir(parents=True)
        (proc / pid / "cgroup").write_text(line)
    (proc / "vmstat").write_text("pgfault 9\noom_kill 5\n")
    monkeypatch.setattr(cgroup, "ROOT", root)
    monkeypatch.setattr(cgroup, "PROC", proc)
    assert cgroup.memory_folder(7) is None  # nothing is counted there
    (folder / counter).write_text("oom 4\noom_kill 3\noom_group_kill 0\n")
    (folder / limit).write_text(none)
    found = cgroup.memory_folder(7)
    assert found is not None and found.resolve() == folder.resolve()
    assert cgroup.oom_kills(found) == 3 and cgroup.limit_bytes(found) is None
    (folder / limit).write_text(f"{2**30}\n")
    assert cgroup.limit_bytes(found) == 2**30
    second = limit == "memory.max"
    (folder / ("memory.current" if second else "memory.usage_in_bytes")).write_text(f"{700 * 2**20}\n")
    (folder / "memory.stat").write_text(f"{'' if second else 'total_'}inactive_file {200 * 2**20}\n")
    assert cgroup.free_bytes(found) == (1024 - 500) * 2**20

    kills = cgroup.OomKills()
    (proc / "vmstat").write_text("oom_kill 6\n")
    assert kills.count() == 0  # another program of this machine
    (folder / counter).write_text("oom_kill 4\n")
    assert kills.count() == 1
    (folder / counter).unlink()
    assert kills.count() == 1  # the group is gone with its last process: what the machine counted


def test_without_control_groups_the_machine_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "PROC", tmp_path)
    (tmp_path / "vmstat").write_text("oom_kill 5\n")
    kills = cgroup.OomKills()
    (tmp_path / "vmstat").write_text("oom_kill 6\n")
    assert kills.count() == 1


@pytest.fixture
def limited() -> Iterator[Path]:
    """A control group of 256 MiB below our own, where this machine lets us make one."""
    own = cgroup.memory_folder()
    if own is None:
        pytest.skip("no memory control group here")
    folder = own / f"ohlora-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        names = ("memory.max", "memory.limit_in_bytes")
        file = next((folder / name for name in names if (folder / name).is_file()), None)
        if file is None:
            pytest.skip("memory is not counted below our control group")
        file.write_text(str(256 * MIB))
        for swap, value in (("memory.swap.max", 0), ("memory.memsw.limit_in_bytes", 256 * MIB)):
            with contextlib.suppress(OSError):
                if (folder / swap).is_file():
                    (folder / swap).write_text(str(value))
        yield folder
    finally:
        until = time.monotonic() + 10
        while (folder / "cgroup.procs").read_text() and time.monotonic() < until:
            time.sleep(0.05)
        folder.rmdir()


GROW = """
import json, os, time
from pathlib import Path
from ohlora.measure.memory import PhaseMemory
pipe = os.fdopen(int(os.environ["OHLORA_EVENT_FD"]), "w", buffering=1)
print(json.dumps({"event": "stage"}), file=pipe)
time.sleep(0.3)
held = []
with PhaseMemory("cpu", Path(TIMELINE), "train").phase("train"):
    while True:
        if len(held) == LAST:
            os.kill(os.getpid(), 9)
        held.append(bytearray(b"x") * (10 * 2**20))
        time.sleep(0.05)
"""


@pytest.mark.parametrize(("last", "status", "code"), [(-1, "oom", "os_oom_kill"), (10, "killed", "signal")])
def test_a_real_kill_for_memory(limited: Path, tmp_path: Path, last: int, status: str, code: str) -> None:
    """The kernel's own kill at the limit of a control group; and a SIGKILL from outside, in the same group."""
    timeline, log = tmp_path / "memory.jsonl", tmp_path / "child.log"
    grow = textwrap.dedent(GROW).replace("TIMELINE", repr(str(timeline))).replace("LAST", str(last))
    enter = ["/bin/sh", "-c", f'echo $$ > {limited / "cgroup.procs"} && exec "$@"', "sh"]
    ended = process.run([*enter, sys.executable, "-c", grow], log, process.child_env({}), 60, lambda event: None)
    assert ended.code == -signal.SIGKILL, log.read_text()
    record = phases._outcome(tmp_path / "train.json", log, timeline, ended, 60)
    assert (record.status, (record.reason or {})["code"]) == (status, code)
    if status == "oom":
        last_line = json.loads(timeline.read_text().splitlines()[-1])
        assert last_line["rss_mib"] > 150
        assert f"with {last_line['rss_mib']:,.0f} MiB resident at the last sample" in (record.reason or {})["text"]
        assert "the limit of its control group is 256 MiB" in (record.reason or {})["text"]
