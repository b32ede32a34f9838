"""Where a back end cannot run it says so. Only the GPU is faked, at torch's own functions."""

from __future__ import annotations

import ast
import sys
from importlib import util
from pathlib import Path

import pytest
import torch

from ohlora.backends import Setting, backend, backends, label
from ohlora.backends.unsloth import NO_FLOAT16
from ohlora.config.choices import Dtype
from ohlora.config.paths import options
from ohlora.measure.device import resolve_dtype

LOCKED = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]  # torch 2.14.1, CUDA 13.0


def gpu(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int] | None, name: str = "GPU") -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)  # no other GPU that a message could name
    monkeypatch.setattr(torch.cuda, "is_available", lambda: capability is not None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: name)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: LOCKED)


def test_every_backend_has_its_option() -> None:
    assert options("backend") == sorted(backends())


def test_an_old_gpu_is_named_with_its_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no kernels in this torch, so neither back end runs on it; what would do is named."""
    gpu(monkeypatch, (5, 2), "Quadro M6000")
    for name in backends():
        support = backend(name).probe("cuda")
        assert (support.supported, support.code) == (False, "compute_capability")
        assert support.reason.startswith("Quadro M6000 has compute capability 5.2, but this torch (")
        assert "kernels for 7.5, 8.0, 8.6, 9.0, 10.0, 12.0 only" in support.reason
        assert "a torch build with sm_52 for CUDA 12" in support.reason and "device=cpu" in support.reason


def test_unsloth_needs_more_than_a_torch_that_has_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu(monkeypatch, (6, 0), "Tesla P100")
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_60", "sm_70"])
    assert backend("hf").probe("cuda").supported
    support = backend("unsloth").probe("cuda")
    assert support.reason == "Unsloth's own kernels need compute capability 7.0 or more; Tesla P100 has 6.0"


@pytest.mark.parametrize(
    ("architecture", "dtype", "capability", "said"),
    [
        ("Gemma3ForCausalLM", "float16", (7, 5), "smollm2-135m-instruct"),
        ("Gemma3ForCausalLM", "float32", (7, 5), "smollm2-135m-instruct"),
        ("Gemma3ForCausalLM", "float16", (8, 0), "use model.dtype=bfloat16"),
        ("Gemma3ForCausalLM", "bfloat16", (8, 0), ""),
        ("Gemma3ForCausalLM", "float32", None, ""),
        ("Gemma3nForConditionalGeneration", "float16", (7, 5), "runs Gemma3nForConditionalGeneration in float32"),
        ("Qwen3MoeForCausalLM", "float16", (9, 0), "use model.dtype=bfloat16"),
        ("Qwen3ForCausalLM", "float16", (7, 5), ""),
        ("Gemma2ForCausalLM", "float16", (7, 5), ""),
        ("LlamaForCausalLM", "bfloat16", (7, 5), "uses float16 on this GPU, which has no bfloat16"),
        ("LlamaForCausalLM", "bfloat16", (8, 0), ""),
        ("LlamaForCausalLM", "float16", (7, 5), ""),
        ("LlamaForCausalLM", "float32", (7, 5), ""),
        ("LlamaForCausalLM", "float32", (8, 6), "bfloat16 mixed precision on this GPU"),
        (None, "float32", (9, 0), "bfloat16 mixed precision on this GPU"),
    ],
)
def test_what_unsloth_does_otherwise_is_known_before(
    architecture: str | None, dtype: str, capability: tuple[int, int] | None, said: str
) -> None:
    setting = Setting(architecture, "cuda" if capability else "cpu", dtype, capability, trains=True)
    assert list(backend("hf").warnings(setting)) == []
    warned = list(backend("unsloth").warnings(setting))
    assert len(warned) == bool(said) and all(said in text for text in warned)


def test_the_classes_without_float16_are_those_of_the_installed_unsloth() -> None:
    """Its list is read from the source, since importing it patches transformers; it matches as its loader does."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    found = util.find_spec("unsloth_zoo")
    assert found is not None and found.submodule_search_locations
    source = ast.parse((Path(found.submodule_search_locations[0]) / "model_lists.py").read_text())
    (forced,) = (
        ast.literal_eval(node.value)
        for node in source.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "FORCE_FLOAT32"
    )
    for model_type, name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.items():
        expected = any(entry == model_type.replace("_", "") or entry in f"{model_type}," for entry in forced)
        assert name.startswith(NO_FLOAT16) is expected, (model_type, name)


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
