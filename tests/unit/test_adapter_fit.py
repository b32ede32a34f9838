"""Adapters of others: the sizes of their layers decide whether they fit, names that mean the same are the same.

Run: python -m pytest tests/unit/test_adapter_fit.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy
import pytest
from safetensors.numpy import save_file

from ohlora.config.compose import compose_config
from ohlora.errors import UserError
from ohlora.models import adapters
from ohlora.models.adapter_fit import adapter_sizes, base_name, find_misfit
from ohlora.models.weights import model_shapes
from ohlora.planning.plan import Plan
from ohlora.planning.validate import validate
from ohlora.running.preflight import _planned_sizes

LAYER = "model.layers.0.self_attn.q_proj"
CACHE = (
    "/home/me/.cache/huggingface/hub/models--google--gemma-2-2b-it/snapshots/299a8560bedf22ed1c72a8a11e7dce4a7f9f51f8"
)


def write(path: Path, **shapes: tuple[int, ...]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name.replace("__", "."): numpy.zeros(shape, "float16") for name, shape in shapes.items()}, path)


def make_adapter(folder: Path, base: str, inputs: int, outputs: int, module: str = LAYER) -> Path:
    prefix = f"base_model.model.{module}"
    write(
        folder / adapters.WEIGHTS, **{f"{prefix}.lora_A.weight": (4, inputs), f"{prefix}.lora_B.weight": (outputs, 4)}
    )
    (folder / adapters.DESCRIBED).write_text(json.dumps({"base_model_name_or_path": base}))
    return folder


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """gemma-2-2b-it of a folder with one layer, 64 → 96."""
    write(tmp_path / "m" / "model.safetensors", **{f"{LAYER}.weight": (96, 64), "model.embed_tokens.weight": (8, 64)})
    where = (f"model.path={tmp_path}/m", "model.repo=google/gemma-2-2b-it", f"outputs={tmp_path}/outputs")
    return Plan(validate(compose_config(["task=infer", "model=local", *where, f"adapter={tmp_path}/a"])))


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("google/gemma-2-2b-it", "gemma-2-2b-it"),
        ("unsloth/gemma-2-2b-it-bnb-4bit", "gemma-2-2b-it"),
        ("unsloth/Gemma-2-2b-it-unsloth-bnb-4bit", "gemma-2-2b-it"),
        ("someone/gemma-2-2b-it-GPTQ", "gemma-2-2b-it"),
        (CACHE, "gemma-2-2b-it"),
        (CACHE.replace("/", "\\"), "gemma-2-2b-it"),
        ("/data/gemma-2-2b-it/", "gemma-2-2b-it"),
        ("google/gemma-2-2b", "gemma-2-2b"),
        ("maker/qwen-4bits-better", "qwen-4bits-better"),
        ("", ""),
    ],
)
def test_names_that_mean_the_same(given: str, meant: str) -> None:
    assert base_name(given) == meant


@pytest.mark.parametrize(
    "base", ["unsloth/gemma-2-2b-it-bnb-4bit", CACHE, "google/gemma-2-2b-it", "", "/x/gemma-2-2b-it"]
)
def test_an_adapter_that_fits_is_taken_under_every_form_of_its_name(plan: Plan, tmp_path: Path, base: str) -> None:
    folder = make_adapter(tmp_path / "a", base, 64, 96)
    assert (
        list(adapters.find_problems(f"{tmp_path}/a", plan.model, folder)) == []
        and adapters.base_note(plan.model, folder, "adapter=a") == ""
    )


def test_one_that_fits_and_names_another_base_is_taken_with_a_note(plan: Plan, tmp_path: Path) -> None:
    folder = make_adapter(tmp_path / "a", "google/gemma-2-2b", 64, 96)
    assert list(adapters.find_problems(f"{tmp_path}/a", plan.model, folder)) == []
    note = adapters.base_note(plan.model, folder, "adapter=a")
    assert note.startswith("adapter=a: was trained on google/gemma-2-2b, and its layers fit google/gemma-2-2b-it too")


def test_nothing_is_said_of_a_folder_without_an_adapter(plan: Plan, tmp_path: Path) -> None:
    assert adapters.base_note(plan.model, tmp_path, "adapter=a") == ""


@pytest.mark.parametrize("base", ["google/gemma-2-2b-it", "meta-llama/Llama-3.2-1B"])
def test_another_size_is_refused_with_both_sizes_whatever_it_names(plan: Plan, tmp_path: Path, base: str) -> None:
    (said,) = adapters.find_problems(f"{tmp_path}/a", plan.model, make_adapter(tmp_path / "a", base, 64, 128))
    assert said == (
        f"adapter={tmp_path}/a: does not fit model=local: {LAYER} is 64 → 128 in the adapter and 64 → 96 in the model; "
        f"its base model is {base}: choose that one"
    )
    with pytest.raises(UserError, match="64 → 128 in the adapter and 64 → 96"):
        adapters.require_fit(f"{tmp_path}/a", plan.model, plan.adapter_folder)


def test_a_layer_that_the_model_lacks(plan: Plan, tmp_path: Path) -> None:
    folder = make_adapter(tmp_path / "a", "", 64, 96, module="model.layers.7.self_attn.q_proj")
    (said,) = adapters.find_problems(f"{tmp_path}/a", plan.model, folder)
    assert "model.layers.7.self_attn.q_proj is 64 → 96 in the adapter and no such module in the model" in said
    assert said.endswith("; choose the model it was trained on")


@pytest.mark.parametrize(
    ("module", "tensors", "fits"),
    [
        (LAYER, {f"language_model.{LAYER}.weight": (96, 64)}, True),  # a model within another
        (LAYER, {f"{LAYER}.weight": (64, 96)}, True),  # stored the other way round, as GPT-2's
        (LAYER, {f"{LAYER}.weight": (3072, 1)}, True),  # packed in 4 bits: its size is not known
        ("lm_head", {"model.embed_tokens.weight": (96, 64)}, True),  # tied to the embedding
        ("lm_head", {"lm_head.weight": (95, 64)}, False),
        (LAYER, {"model.layers.10.self_attn.q_proj.weight": (96, 64)}, False),
    ],
)
def test_where_a_module_is_found(tmp_path: Path, module: str, tensors: dict[str, tuple[int, int]], fits: bool) -> None:
    write(tmp_path / "m" / "model.safetensors", **tensors)
    sizes = adapter_sizes(make_adapter(tmp_path / "a", "", 64, 96, module) / adapters.WEIGHTS)
    assert sizes == {module: (64, 96)}
    assert (find_misfit(sizes, model_shapes(tmp_path / "m")) is None) == fits


def test_before_a_model_is_here_its_option_tells_the_sizes(tmp_path: Path) -> None:
    """gemma-2-2b-it: 2304 hidden, 8 heads of 256."""
    plan = Plan(
        validate(compose_config(["task=infer", "model=gemma2-2b-it", f"models={tmp_path}", f"adapter={tmp_path}/a"]))
    )
    planned = _planned_sizes(plan)
    folder = make_adapter(tmp_path / "a", CACHE, 2304, 2048)
    assert list(adapters.find_problems("a", plan.model, folder, planned)) == []
    (said,) = adapters.find_problems(
        f"{tmp_path}/a", plan.model, make_adapter(tmp_path / "b", "other/base", 640, 1024), planned
    )
    assert "is 640 → 1024 in the adapter and 2304 → 2048 in the model; its base model is other/base" in said
