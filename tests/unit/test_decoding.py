"""Answers are generated as the configuration says, whatever the model's own generation_config.json asks for.

Run: python -m pytest tests/unit/test_decoding.py
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import transformers
from transformers import AutoModelForCausalLM, GenerationConfig

from ohlora.data.tokens import Tokens
from ohlora.generation.decoding import NEUTRAL, drop_own_settings, greedy, in_effect
from ohlora.tasks.infer import Generator

PROMPT = [2, 72, 101, 108, 108, 111, 32, 116, 104]
OWN: dict[str, Any] = {
    "do_sample": True, "temperature": 0.6, "top_k": 20, "top_p": 0.5, "repetition_penalty": 7.5, "num_beams": 3,
    "no_repeat_ngram_size": 2, "length_penalty": 2.0, "max_length": 12, "min_length": 4, "bos_token_id": 2,
    "suppress_tokens": list(range(100, 160)), "forced_eos_token_id": 7, "exponential_decay_length_penalty": [1, 1.5],
    "eos_token_id": [1, 6], "pad_token_id": 0,
}  # fmt: skip
# What decides no token: lengths and ids that a call gives, caches, what is returned, other ways to decode.
OTHERS = {
    "max_length", "min_length", "max_new_tokens", "min_new_tokens", "max_time", "stop_strings", "bos_token_id",
    "eos_token_id", "pad_token_id", "decoder_start_token_id", "transformers_version",
}  # fmt: skip


def loaded(tiny: Path, folder: Path, own: dict[str, Any]) -> Any:
    shutil.copytree(tiny, folder)
    (folder / "generation_config.json").write_text(json.dumps(own))
    return AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)


def answers(model: Any) -> list[list[int]]:
    tokens = Tokens([], [], [], [1, 6], 0, [], "")
    generate = Generator(model, tokens, "cpu", 24, 24)
    return [generate([*PROMPT, *range(97, 97 + more)]).ids for more in range(3)]


@pytest.mark.parametrize("adapted", [False, True])
def test_the_models_own_settings_change_nothing(
    tiny_model: Callable[[str], Path], tmp_path: Path, adapted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = loaded(tiny_model("llama"), tmp_path / "plain", {"eos_token_id": [1, 6]})
    asking = loaded(tiny_model("llama"), tmp_path / "asking", OWN)
    assert asking.generation_config.repetition_penalty == 7.5
    if adapted:
        lora = peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=True, task_type="CAUSAL_LM")
        asking = peft.get_peft_model(asking, lora).eval()
    warnings: list[str] = []
    monkeypatch.setattr(transformers.generation.utils.logger, "warning", warnings.append)
    found = answers(asking)
    assert warnings == []  # no warning of settings that exclude each other: it would be timed too
    assert found == answers(plain) and all(len(ids) == 24 for ids in found)


def test_they_would_change_it_otherwise(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    """The settings of the test above are no idle ones: followed, they give other answers."""
    import torch

    asking = loaded(tiny_model("llama"), tmp_path / "asking", {**OWN, "do_sample": False})
    bare = GenerationConfig(min_new_tokens=24, max_new_tokens=24, eos_token_id=[1, 6], pad_token_id=0)
    ids = torch.tensor([PROMPT])
    followed = asking.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=bare)
    assert followed[0, len(PROMPT) :].tolist() != answers(asking)[0]


def test_what_transformers_merges_is_what_is_recorded(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    model = loaded(tiny_model("llama"), tmp_path / "asking", OWN)
    settings = greedy(3, 5, [1, 6], 0)
    dropped = drop_own_settings(model)
    merged = in_effect(model._prepare_generation_config(settings)[0])
    recorded = in_effect(settings)
    assert recorded.items() <= merged.items()
    assert (recorded["max_new_tokens"], recorded["min_new_tokens"], recorded["eos_token_id"]) == (5, 3, [1, 6])
    defaults = in_effect(GenerationConfig(**GenerationConfig()._get_default_generation_params()))
    assert {key: merged[key] for key in merged.keys() - recorded.keys()}.items() <= defaults.items()
    assert dropped["repetition_penalty"] == 7.5 and dropped["num_beams"] == 3 and dropped["top_k"] == 20
    assert "eos_token_id" not in dropped


def test_nothing_is_dropped_from_a_model_that_asks_for_nothing(
    tiny_model: Callable[[str], Path], tmp_path: Path
) -> None:
    model = loaded(tiny_model("llama"), tmp_path / "plain", {"eos_token_id": [1, 6], "do_sample": False})
    assert drop_own_settings(model) == {}


def test_every_field_with_a_value_by_default_is_given() -> None:
    """A later transformers with another field must not fill it from a model unnoticed."""
    used = {key for key, value in GenerationConfig()._get_default_generation_params().items() if value is not None}
    unused = {"output_scores", "return_dict_in_generate"} | {key for key in used if "assistant" in key or "look" in key}
    assert used - unused - OTHERS <= NEUTRAL.keys()
