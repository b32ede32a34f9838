"""Where a back end cannot run it says so. Only the GPU is faked, at torch's own functions."""

from __future__ import annotations

from importlib import util

import pytest
import torch

from ohlora.backends import backend, backends, label
from ohlora.config.paths import options
from ohlora.config.schema import Dtype
from ohlora.measure.device import resolve_dtype


def gpu(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int] | None, name: str = "GPU") -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: capability is not None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: name)


def test_every_backend_has_its_option() -> None:
    assert options("backend") == sorted(backends())


def test_an_old_gpu_is_named_with_its_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu(monkeypatch, (5, 2), "Quadro M6000")
    support = backend("unsloth").probe("cuda")
    assert (support.supported, support.code) == (False, "compute_capability")
    assert "need compute capability 7.0 or more; Quadro M6000 has 5.2" in support.reason
    assert backend("hf").probe("cuda").supported


@pytest.mark.parametrize(("capability", "dtype"), [((7, 5), "float16"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")])
def test_a_t4_has_no_bfloat16(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], dtype: str) -> None:
    gpu(monkeypatch, capability)
    assert backend("unsloth").probe("cuda").supported
    assert resolve_dtype(Dtype.auto, "cuda") == dtype
    assert resolve_dtype(Dtype.float32, "cuda") == "float32"


def test_no_gpu_where_one_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu(monkeypatch, None)
    for name in backends():
        support = backend(name).probe("cuda")
        assert (support.supported, support.code) == (False, "no_cuda")


def test_unsloth_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    support = backend("unsloth").probe("cpu")
    assert support.code == "not_installed" and "pip install" in support.reason


def test_unsloth_does_not_run_on_cpu_beside_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu(monkeypatch, (8, 0))
    assert backend("unsloth").probe("cpu").code == "cpu_not_selectable"


def test_a_row_is_named_by_its_back_end() -> None:
    assert (label("unsloth"), label("hf"), label("mine")) == ("**with** Unsloth", "**w/o** Unsloth", "mine")
