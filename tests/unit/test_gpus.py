"""Which GPU a process computes on: by UUID, exactly one, whatever the environment names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from fake_gpu import Board, FakeBoards, NVMLError, NVMLError_DriverNotLoaded, NVMLError_LibraryNotFound

from ohlora import worker
from ohlora.config.choices import Dtype
from ohlora.config.compose import compose_config
from ohlora.errors import Unsupported, UserError
from ohlora.estimate.capacity import capacity
from ohlora.measure import gpus
from ohlora.measure.device import describe, find_gpu_problem, resolve_device
from ohlora.measure.gpus import CHOSEN, ORDER, VISIBLE, chosen_gpu, device_problems, narrow_process, visible_gpus
from ohlora.measure.kernels import has_kernels
from ohlora.planning.plan import plan_run
from ohlora.planning.validate import validate
from ohlora.running.preflight import check

FIRST, SECOND = Board("GPU-1111-aa", "Quadro M6000", (5, 2)), Board("GPU-2222-bb")
SPLIT = Board("GPU-3333-cc", instances=("MIG-aaaa", "MIG-bbbb"))
LOCKED = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]  # torch 2.14.1, CUDA 13.0


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> FakeBoards:
    found = FakeBoards([FIRST, SECOND, SPLIT])
    monkeypatch.setitem(sys.modules, "pynvml", found)
    for name in (VISIBLE, ORDER, CHOSEN):
        monkeypatch.setenv(name, "")  # restored afterwards, whatever the test or the code sets
        monkeypatch.delenv(name)
    return found


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, ["GPU-1111-aa", "GPU-2222-bb", "MIG-aaaa", "MIG-bbbb"]),
        ("", []),
        ("-1", []),
        ("1", ["GPU-2222-bb"]),
        ("1,0", ["GPU-2222-bb", "GPU-1111-aa"]),
        ("2", ["MIG-aaaa"]),
        ("GPU-2222", ["GPU-2222-bb"]),
        ("MIG-bbbb", ["MIG-bbbb"]),
        ("GPU-2222-bb, 0", ["GPU-2222-bb", "GPU-1111-aa"]),
        ("1,7,0", ["GPU-2222-bb"]),
        ("GPU-", []),
        ("1,1", ["GPU-2222-bb"]),
    ],
)
def test_what_the_environment_leaves(
    machine: FakeBoards, monkeypatch: pytest.MonkeyPatch, visible: str | None, expected: list[str]
) -> None:
    if visible is not None:
        monkeypatch.setenv(VISIBLE, visible)
    assert [gpu.uuid for gpu in visible_gpus()] == expected


@pytest.mark.parametrize(
    ("device", "visible", "left"),
    [
        ("auto", None, "GPU-1111-aa"),
        ("cuda", None, "GPU-1111-aa"),
        ("cuda:1", None, "GPU-2222-bb"),
        ("cuda:3", None, "MIG-bbbb"),
        ("auto", "1,0", "GPU-2222-bb"),
        ("cuda:1", "1,0", "GPU-1111-aa"),
        ("auto", "MIG-bbbb", "MIG-bbbb"),
        ("auto", "", ""),
        ("cpu", None, ""),
        ("cpu", "1", ""),
    ],
)
def test_a_process_keeps_exactly_one_device(
    machine: FakeBoards, monkeypatch: pytest.MonkeyPatch, device: str, visible: str | None, left: str
) -> None:
    import os

    if visible is not None:
        monkeypatch.setenv(VISIBLE, visible)
    narrow_process(device)
    assert (os.environ[VISIBLE], os.environ[ORDER]) == (left, "PCI_BUS_ID")
    narrow_process(device)  # in a process of several runs: cuda:1 of one visible device is not asked for
    assert os.environ[VISIBLE] == left
    found = chosen_gpu(device)
    assert (found.uuid if found else "") == left


def test_without_the_driver_s_library_a_device_is_left_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setitem(sys.modules, "pynvml", None)
    for device, visible, left in (("auto", None, "0"), ("cuda:2", None, "2"), ("cuda:1", "5,3", "3"), ("auto", "", "")):
        monkeypatch.delenv(CHOSEN, raising=False)
        monkeypatch.setenv(ORDER, "")
        monkeypatch.setenv(VISIBLE, visible or "")
        if visible is None:
            monkeypatch.delenv(VISIBLE)
        narrow_process(device)
        assert os.environ[VISIBLE] == left
    monkeypatch.delenv(CHOSEN)


def test_the_worker_narrows_itself_before_the_task(
    machine: FakeBoards, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import os

    (tmp_path / "config.yaml").write_text("device: cuda:1\n")
    seen: list[str] = []
    monkeypatch.setattr(worker, "run_phase", lambda *_: seen.append(os.environ[VISIBLE]))
    monkeypatch.setattr(worker, "read_config", lambda folder: validate(compose_config(["device=cuda:1"])))
    monkeypatch.setattr(sys, "argv", ["worker", str(tmp_path), "--phase", "infer"])
    monkeypatch.setattr(worker, "die_with_parent", lambda fd: None)
    assert worker.main() == 0 and seen == ["GPU-2222-bb"]


def test_a_warning_comes_before_anything_runs(
    machine: FakeBoards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    machine.boards[:] = [Board("GPU-t4", "Tesla T4", (7, 5))]
    for name, expected in (("unsloth", True), ("hf", False)):
        check(plan_run(compose_config([f"backend={name}", "preflight=off"])))
        warned = "runs Gemma3ForCausalLM in float32 on this GPU, which has no bfloat16"
        assert (warned in capsys.readouterr().err) is expected
    check(plan_run(compose_config(["backend=unsloth", "model=smollm2-135m-instruct", "preflight=off"])))
    assert capsys.readouterr().err == ""
    with pytest.raises(UserError, match="device=cuda:1: this machine has no such GPU; choose from cuda:0"):
        check(plan_run(compose_config(["device=cuda:1"])))


def test_a_device_that_is_not_there(machine: FakeBoards, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(device_problems("auto")) == list(device_problems("cuda:3")) == list(device_problems("cpu")) == []
    assert list(device_problems("cuda:4")) == [
        "device=cuda:4: this machine has no such GPU; choose from cuda:0 (Quadro M6000), cuda:1 (NVIDIA A100), "
        "cuda:2 (NVIDIA A100), cuda:3 (NVIDIA A100)"
    ]
    monkeypatch.setenv(VISIBLE, "GPU-9")
    (problem,) = device_problems("auto")
    assert problem.startswith("CUDA_VISIBLE_DEVICES=GPU-9: is no GPU of this machine, which has 0 (Quadro M6000, GPU-1")


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:0,1", ""])
def test_a_device_that_is_none(device: str) -> None:
    with pytest.raises(UserError, match="choose from auto, cpu, cuda, or cuda:<number>"):
        validate(compose_config([f"device='{device}'"]))


def test_a_gpu_that_torch_cannot_use_is_no_cpu(machine: FakeBoards, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.cuda = 11040
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch, "__version__", "2.14.1+cu130")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    for asked in ("auto", "cuda"):
        with pytest.raises(Unsupported) as refused:
            resolve_device(asked)
        assert refused.value.code == "gpu_unusable"
        assert str(refused.value) == (
            "the driver (470.57.02, for CUDA 11.4 or older) shows Quadro M6000, but torch 2.14.1+cu130 is built for "
            "CUDA 13.0 and cannot use it; update the driver, install a torch build for CUDA 11.4 or older, or give "
            "device=cpu"
        )
    assert resolve_device("cpu") == "cpu"
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(Unsupported, match="is a build without CUDA; install one for CUDA 11.4 or older"):
        resolve_device("auto")
    machine.boards.clear()
    assert resolve_device("auto") == "cpu"


def test_a_gpu_without_kernels_names_another_one_that_would_do(
    machine: FakeBoards, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow_process("auto")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (5, 2))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Quadro M6000")
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: LOCKED)
    hint = "; device=cuda:<number> takes another GPU of this machine: NVIDIA A100"
    for least in ((0, 0), (7, 0)):
        found = find_gpu_problem(least, "its kernels")
        assert found and found[0] == "compute_capability" and found[1].endswith(hint)
    machine.boards[:] = [FIRST]
    found = find_gpu_problem((0, 0), "its kernels")
    assert found and found[1].endswith("or give device=cpu")


def test_a_driver_of_the_same_major_version_is_not_too_old(
    machine: FakeBoards, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CUDA 13.2 runs on a driver for 13.0: what is wrong is what torch itself says."""

    def busy() -> None:
        raise RuntimeError("CUDA-capable device(s) is/are busy or unavailable")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", busy)
    monkeypatch.setattr(torch.version, "cuda", "13.2")
    with pytest.raises(Unsupported, match="cannot use it: CUDA-capable device.* busy or unavailable; give device=cpu"):
        resolve_device("auto")


@pytest.mark.parametrize(
    ("error", "visible", "refused"),
    [
        (NVMLError("Driver/library version mismatch"), None, True),
        (NVMLError("Driver/library version mismatch"), "", False),
        (NVMLError("Driver/library version mismatch"), "-1", False),
        (NVMLError_DriverNotLoaded("Driver Not Loaded"), None, False),
        (NVMLError_LibraryNotFound("NVML Shared Library Not Found"), None, False),
    ],
)
def test_a_driver_that_is_broken_means_no_cpu_either(
    machine: FakeBoards, monkeypatch: pytest.MonkeyPatch, error: Exception, visible: str | None, refused: bool
) -> None:
    def refuse() -> None:
        raise error

    monkeypatch.setattr(machine, "nvmlInit", refuse)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    if visible is not None:
        monkeypatch.setenv(VISIBLE, visible)
    narrow_process("auto")
    if refused:
        with pytest.raises(Unsupported, match="NVML: Driver/library version mismatch.*or give device=cpu"):
            resolve_device("auto")
    else:
        assert resolve_device("auto") == "cpu"
    assert resolve_device("cpu") == "cpu"


def test_a_gpu_that_shares_the_machine_s_memory_is_one_all_the_same(machine: FakeBoards) -> None:
    machine.boards[:] = [Board("GPU-spark", "NVIDIA GB10", (12, 1), total=None)]
    found = capacity("auto", Dtype.auto, None)
    assert found.gpu is not None and (found.device, found.dtype, found.gpu.free_mib) == ("cuda", "bfloat16", None)
    assert found.mib and found.mib > 0 and found.said.startswith("NVIDIA GB10, which shares the machine's memory: ")


def test_the_device_is_recorded(machine: FakeBoards, monkeypatch: pytest.MonkeyPatch) -> None:
    class Properties:
        name, major, minor, total_memory, uuid = "NVIDIA A100", 8, 0, 40000 * 2**20, "2222-bb"

    narrow_process("cuda:1")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: Properties)
    facts = describe("cuda")
    assert (facts["uuid"], facts["driver"], facts["vram_mib"]) == ("GPU-2222-bb", "580.65.06", 40000)
    monkeypatch.setattr(gpus, "list_gpus", list)
    assert describe("cuda")["uuid"] == "GPU-2222-bb"


@pytest.mark.parametrize(
    ("capability", "locked", "with_ptx"),
    [
        ((5, 2), False, False),
        ((6, 0), False, False),
        ((7, 0), False, False),
        ((7, 5), True, False),
        ((8, 0), True, True),
        ((8, 6), True, True),
        ((8, 9), True, True),
        ((9, 0), True, True),
        ((10, 0), True, True),
        ((12, 0), True, True),
        ((12, 1), True, True),
        ((11, 0), False, True),
    ],
)
def test_kernels_of_the_locked_torch_and_of_one_with_intermediate_code(
    capability: tuple[int, int], locked: bool, with_ptx: bool
) -> None:
    assert has_kernels(capability, LOCKED) is locked
    assert has_kernels(capability, ["compute_80"]) is with_ptx


def test_the_locked_torch_was_compiled_for_what_the_table_says() -> None:
    if torch.__version__ == "2.14.1+cu130":
        assert torch.cuda.get_arch_list() == LOCKED


@pytest.mark.parametrize(
    ("capability", "entry", "runs"),
    [
        ((8, 0), "sm_86", False),
        ((8, 9), "sm_86", True),
        ((9, 0), "sm_90a", True),
        ((9, 0), "compute_90a", True),
        ((10, 3), "sm_100a", False),
        ((10, 3), "sm_100f", True),
        ((12, 0), "compute_100f", False),
        ((12, 0), "compute_100", True),
        ((9, 0), "gfx942", True),
    ],
)
def test_how_code_binds_to_devices(capability: tuple[int, int], entry: str, runs: bool) -> None:
    assert has_kernels(capability, [entry]) is runs
