"""LoRA, DoRA and rsLoRA: in effect as asked, started equal, hashed whole; targets that match nothing; RWKV's rescaling.

Run: python -m pytest tests/unit/test_lora_methods.py
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import peft
import pytest
import torch
import transformers

from ohlora.backends import LoadSpec, LoraSpec
from ohlora.backends import effective as read_back
from ohlora.backends.effective import adapter_layers, adapter_parameters, in_effect, lora_places, require_requested
from ohlora.backends.hf import HFBackend
from ohlora.backends.unsloth import UnslothBackend
from ohlora.config.choices import LoraMethod
from ohlora.errors import Unsupported, UserError
from ohlora.models.architectures import ARCHITECTURES
from ohlora.training.adapter import adapter_hash, initialise_adapter, keep_float32

RANK, ALPHA = 4, 8
NEOX = ARCHITECTURES["GPTNeoXForCausalLM"].targets
RWKV = ARCHITECTURES["RwkvForCausalLM"].targets
METHODS = [method.value for method in LoraMethod if method is not LoraMethod.none]
IDS = torch.tensor([[72, 101, 108, 108, 111, 32, 116, 104, 101, 114, 101, 33]])


def spec(path: Path, method: str = "lora", targets: tuple[str, ...] = NEOX, **more: Any) -> LoadSpec:
    asked: dict[str, Any] = {
        "path": path, "mode": "train", "device": "cpu", "dtype": "float32", "quantization": "none", "attention": None,
        "max_length": 64, "gradient_checkpointing": "none", "seed": 1,
        "new_adapter": LoraSpec(method, RANK, ALPHA, 0.0, targets),  # type: ignore[arg-type]
    }  # fmt: skip
    return LoadSpec(**asked | more)


@pytest.fixture
def load(tiny_model: Callable[[str], Path]) -> Callable[..., Any]:
    def loaded(name: str = "gpt_neox", method: str = "lora", targets: tuple[str, ...] = NEOX, **more: Any) -> Any:
        return HFBackend().load(spec(tiny_model(name), method, targets, **more))

    return loaded


def logits(model: Any) -> Any:
    model.eval()
    with torch.no_grad():
        return model(input_ids=IDS, use_cache=False).logits


@pytest.mark.parametrize("method", METHODS)
def test_the_method_asked_for_is_in_effect(load: Callable[..., Any], method: str) -> None:
    loaded = load(method=method)
    assert loaded.effective["lora_method"] == method
    assert (loaded.effective["lora_rank"], loaded.effective["lora_alpha"]) == (RANK, ALPHA)
    assert loaded.effective["lora_scale"] == ALPHA / (math.sqrt(RANK) if method == "rslora" else RANK)
    layers = adapter_layers(loaded.model)
    assert len(layers) == 2 * len(NEOX) and all(name.startswith("gpt_neox.layers.") for name in layers)
    for layer in layers.values():
        assert layer.scaling["default"] == ALPHA / (math.sqrt(RANK) if method == "rslora" else RANK)
        assert ("default" in layer.lora_magnitude_vector) == (method == "dora")
    extra = loaded.effective["adapter_parameters"] - load().effective["adapter_parameters"]
    assert extra == (sum(layer.out_features for layer in layers.values()) if method == "dora" else 0)


def test_a_model_without_adapter_has_no_method(load: Callable[..., Any]) -> None:
    assert "lora_method" not in load(new_adapter=None, mode="infer").effective


@pytest.mark.parametrize("flag", ["use_dora", "use_rslora"])
def test_a_method_that_a_library_drops_is_refused(
    load: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, flag: str
) -> None:
    right = peft.LoraConfig
    monkeypatch.setattr(peft, "LoraConfig", lambda **asked: right(**asked | {flag: False}))
    with pytest.raises(Unsupported, match="in effect is lora") as refused:
        load(method=flag.removeprefix("use_"))
    assert refused.value.code == "lora_method" and "GPTNeoXForCausalLM" in str(refused.value)


def test_a_magnitude_that_was_not_made_is_no_dora(load: Callable[..., Any]) -> None:
    """The flag of the configuration alone proves nothing."""
    loaded = load(method="dora")
    next(iter(adapter_layers(loaded.model).values())).lora_magnitude_vector.pop("default")
    assert in_effect(loaded.model, spec(Path()))["lora_method"] == "lora"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("quantization", ["none", "nf4"])
def test_a_new_adapter_changes_nothing_and_its_seed_decides_it(
    load: Callable[..., Any], method: str, quantization: str
) -> None:
    plain = load(new_adapter=None, mode="infer", quantization=quantization).model
    one, two = (load(method=method, quantization=quantization).model for _ in range(2))
    with torch.no_grad():  # as if another back end had started it otherwise
        for _, parameter in adapter_parameters(two):
            parameter.add_(0.1)
    assert adapter_hash(one) != adapter_hash(two)
    initialise_adapter(one, 3)
    initialise_adapter(two, 3)
    assert adapter_hash(one) == adapter_hash(two)
    assert torch.allclose(logits(one), logits(plain), atol=1e-5)
    initialise_adapter(two, 4)
    assert adapter_hash(one) != adapter_hash(two)


def test_every_method_starts_with_the_same_directions(load: Callable[..., Any]) -> None:
    started = []
    for method in METHODS:
        model = load(method=method).model
        initialise_adapter(model, 3)
        started.append({n: p for n, p in adapter_parameters(model) if "lora_A" in n})
    for other in started[1:]:
        assert all(torch.equal(started[0][name], other[name]) for name in started[0])


def test_magnitudes_are_float32_norms_of_the_weights(load: Callable[..., Any]) -> None:
    model = load(method="dora", dtype="bfloat16").model
    initialise_adapter(model, 3)
    for layer in adapter_layers(model).values():
        weight = layer.get_base_layer().weight
        assert weight.dtype == torch.bfloat16
        assert torch.equal(layer.lora_magnitude_vector["default"].weight, weight.float().norm(dim=1))


def test_magnitudes_are_trained_in_float32_and_hashed(load: Callable[..., Any]) -> None:
    model = load(method="dora").model
    magnitude = next(p for n, p in adapter_parameters(model) if "magnitude" in n)
    magnitude.data = magnitude.data.to(torch.bfloat16)
    keep_float32(model)
    assert magnitude.dtype == torch.float32
    before = adapter_hash(model)
    magnitude.data[0] += 0.5
    assert adapter_hash(model) != before
    magnitude.requires_grad_(False)
    with pytest.raises(AssertionError, match="magnitude"):
        keep_float32(model)


def test_dora_over_transposed_weights() -> None:
    """GPT-2 keeps its weights as (in, out): the norms are of the columns."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=264, n_embd=32, n_layer=1, n_head=2)
    plain = transformers.GPT2LMHeadModel(config)
    before = logits(plain)
    assert lora_places(plain, ["c_attn"]) == ["transformer.h.0.attn.c_attn"]
    asked = peft.LoraConfig(r=RANK, target_modules=["c_attn"], use_dora=True, fan_in_fan_out=True)
    model = peft.get_peft_model(plain, asked)
    initialise_adapter(model, 3)
    assert torch.allclose(logits(model), before, atol=1e-5)


NEOX_HAS = "it has dense, dense_4h_to_h, dense_h_to_4h, query_key_value"


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (("foo",), f"lora.targets=[foo]: no such module in this model; {NEOX_HAS}"),
        (
            ("dense", "foo", "q_proj"),
            f"lora.targets=[dense,foo,q_proj]: foo, q_proj: no such module in this model; {NEOX_HAS}",
        ),
        (("lm_head",), f"lora.targets=[lm_head]: no such module in this model; {NEOX_HAS}"),
        (("input_layernorm",), f"lora.targets=[input_layernorm]: no such module in this model; {NEOX_HAS}"),
        (("ense",), f"lora.targets=[ense]: no such module in this model; {NEOX_HAS}"),
    ],
)
def test_targets_that_match_nothing_are_named(load: Callable[..., Any], targets: tuple[str, ...], said: str) -> None:
    with pytest.raises(UserError) as refused:
        load(targets=targets)
    assert refused.value.problems == [said]


def test_the_modules_of_a_large_model_are_cut_short() -> None:
    model = torch.nn.Module()
    for number in range(20):
        model.add_module(f"m{number:02}", torch.nn.Linear(1, 1))
    model.get_output_embeddings = lambda: None
    with pytest.raises(UserError, match=r"it has m00, .*, m11, …$"):
        lora_places(model, ["foo"])


def test_targets_are_the_ends_of_names(load: Callable[..., Any]) -> None:
    adapted = adapter_layers(load(targets=("attention.dense",)).model)
    assert sorted(adapted) == [f"gpt_neox.layers.{number}.attention.dense" for number in (0, 1)]


@pytest.mark.parametrize(
    ("places", "asked", "code"),
    [
        ([], {}, "lora_targets"),
        (None, {"quantization": "nf4"}, "quantization"),
        (None, {"new_adapter": LoraSpec("rslora", RANK, ALPHA, 0.0, NEOX)}, "lora_method"),
    ],
)
def test_what_was_loaded_otherwise_is_refused(
    load: Callable[..., Any], places: list[str] | None, asked: dict[str, Any], code: str
) -> None:
    model = load().model
    right = sorted(adapter_layers(model))
    require_requested(model, spec(Path()), "hf", right)
    with pytest.raises(Unsupported) as refused:
        require_requested(model, spec(Path(), **asked), "hf", right if places is None else places)
    assert refused.value.code == code and str(refused.value).startswith("backend=hf cannot run GPTNeoXForCausalLM as")


class Careless:
    """A FastLanguageModel that takes every request and makes a plain LoRA of it, as Unsloth's might one day."""

    @staticmethod
    def from_pretrained(model_name: str, **_: Any) -> tuple[Any, Any]:
        model = transformers.AutoModelForCausalLM.from_pretrained(model_name)
        return model, transformers.AutoTokenizer.from_pretrained(model_name)

    @staticmethod
    def get_peft_model(model: Any, r: int, lora_alpha: int, target_modules: list[str], **_: Any) -> Any:
        return peft.get_peft_model(model, peft.LoraConfig(r=r, lora_alpha=lora_alpha, target_modules=target_modules))

    @staticmethod
    def for_training(model: Any) -> None:
        model.train()


@pytest.fixture
def careless() -> UnslothBackend:
    backend = UnslothBackend()
    backend._unsloth = SimpleNamespace(FastLanguageModel=Careless, DEVICE_TYPE="cpu")
    return backend


@pytest.mark.parametrize("asked", [{"method": "dora"}, {"method": "rslora"}, {"quantization": "nf4"}])
def test_what_unsloth_would_do_otherwise_is_refused(
    careless: UnslothBackend, tiny_model: Callable[[str], Path], asked: dict[str, str]
) -> None:
    assert careless.load(spec(tiny_model("gpt_neox"))).effective["lora_method"] == "lora"
    with pytest.raises(Unsupported, match="backend=unsloth cannot run GPTNeoXForCausalLM as asked: lora."):
        careless.load(spec(tiny_model("gpt_neox"), **asked))  # type: ignore[arg-type]


def test_unsloth_is_kept_from_rescaling_too(careless: UnslothBackend, tiny_model: Callable[[str], Path]) -> None:
    assert careless.load(spec(tiny_model("rwkv"), targets=RWKV)).model.config.rescale_every == 0


def trained_a_little(model: Any) -> Any:
    with torch.no_grad():
        for name, parameter in adapter_parameters(model):
            if "lora_B" in name:
                parameter.normal_(std=0.2, generator=torch.Generator().manual_seed(len(name)))
    return model


def in_both_modes(model: Any) -> tuple[Any, Any]:
    """(training, inference) logits, and twice, since RWKV rescales at every change."""
    with torch.no_grad():
        found = [model.train(mode)(input_ids=IDS, use_cache=False).logits for mode in (True, False, True, False)]
    assert torch.allclose(found[0], found[2], atol=1e-4) and torch.allclose(found[1], found[3], atol=1e-4)
    return found[0], found[1]


@pytest.mark.parametrize("quantization", ["none", "nf4"])
def test_rwkv_infers_what_it_trained(load: Callable[..., Any], quantization: str) -> None:
    training, inference = in_both_modes(trained_a_little(load("rwkv", targets=RWKV, quantization=quantization).model))
    assert torch.allclose(training, inference, atol=1e-4)


def test_rwkv_rescaled_would_infer_something_else(load: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What `keep_unscaled` is there for: transformers divides the frozen weights, and not what LoRA adds to them."""
    monkeypatch.setattr("ohlora.backends.hf.keep_unscaled", lambda model: None)
    training, inference = in_both_modes(trained_a_little(load("rwkv", targets=RWKV).model))
    assert not torch.allclose(training, inference, atol=1e-2)
    plain = load("rwkv", new_adapter=None).model
    assert torch.allclose(*in_both_modes(plain), atol=5e-3), "without an adapter rescaling changes next to nothing"


def test_rwkv_minds_no_padding_on_the_right(load: Callable[..., Any]) -> None:
    """It ignores the attention mask, but what is padded comes after all that counts."""
    model = load("rwkv", new_adapter=None, mode="infer").model
    short, pad = IDS[:, :7], torch.full((1, 5), 256)
    batch = torch.cat([IDS, torch.cat([short, pad], dim=1)])
    with torch.no_grad():
        both = model(input_ids=batch, use_cache=False).logits
        alone = [model(input_ids=ids, use_cache=False).logits[0] for ids in (IDS, short)]
    assert torch.allclose(both[0], alone[0], atol=1e-5) and torch.allclose(both[1, :7], alone[1], atol=1e-5)


def test_the_layers_are_found_by_the_base_models_names(load: Callable[..., Any]) -> None:
    model = load().model
    assert set(adapter_layers(model)) == set(lora_places(model.unload(), NEOX))
    assert read_back.lora_method(model.unload()) is None
