"""Decoding as configured, independent of a model's generation_config.json.

transformers fills every field that a call does not set from the model's file: `repetition_penalty`, `num_beams`, a
list of suppressed tokens. So each field gets its neutral value here, and the file's values are removed from the model.
"""

from __future__ import annotations

from typing import Any

from ohlora.config.schema import DecodingConfig

# Fields that change the generated tokens or the number of candidates, each with its neutral value.
NEUTRAL: dict[str, Any] = {
    "do_sample": False,
    "num_beams": 1,
    "num_beam_groups": 1,
    "num_return_sequences": 1,
    "early_stopping": False,
    "length_penalty": 1.0,
    "diversity_penalty": 0.0,
    "repetition_penalty": 1.0,
    "encoder_repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "encoder_no_repeat_ngram_size": 0,
    "temperature": 1.0,
    "top_k": 50,
    "top_p": 1.0,
    "typical_p": 1.0,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
    "renormalize_logits": False,
    "remove_invalid_values": False,
    "guidance_scale": 1.0,
    "use_cache": True,
}
UNINTERESTING = ("transformers_version", "compile_config")


def is_greedy(decoding: DecodingConfig) -> bool:
    """Is each token the likeliest one, with nothing else to decide it?"""
    return not decoding.do_sample and decoding.num_beams == 1 and decoding.repetition_penalty == 1.0


def is_plain(decoding: DecodingConfig) -> bool:
    """Greedy, without stop texts and retries: what a timed run does."""
    return is_greedy(decoding) and not decoding.stop and decoding.retries == 0


def greedy(min_new_tokens: int, max_new_tokens: int, stop_ids: list[int], pad_id: int) -> Any:
    """The GenerationConfig of pure greedy decoding: always the likeliest token."""
    from transformers import GenerationConfig

    return GenerationConfig(
        **NEUTRAL,
        min_new_tokens=min_new_tokens,
        max_new_tokens=max_new_tokens,
        eos_token_id=stop_ids,
        pad_token_id=pad_id,
    )


def configure(decoding: DecodingConfig, min_new: int, max_new: int, stop_ids: list[int], pad_id: int) -> Any:
    """The GenerationConfig of this decoding."""
    settings = greedy(min_new, max_new, stop_ids, pad_id)
    settings.num_beams, settings.repetition_penalty = decoding.num_beams, decoding.repetition_penalty
    if decoding.do_sample:
        settings.do_sample, settings.temperature = True, decoding.temperature
        settings.top_k, settings.top_p = decoding.top_k, decoding.top_p
    return settings


def drop_own_settings(model: Any) -> dict[str, Any]:
    """Clear the model's own GenerationConfig; return the settings that would have applied."""
    from transformers import GenerationConfig

    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    own = getattr(base, "generation_config", None)
    base.generation_config = GenerationConfig()
    if "generation_config" in vars(model):
        model.generation_config = base.generation_config
    ids = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
    return {key: value for key, value in in_effect(own).items() if key not in ids and value != NEUTRAL.get(key)}


def in_effect(settings: Any) -> dict[str, Any]:
    """The fields of a GenerationConfig that are set, including changes by a back end."""
    found = settings.to_dict() if settings is not None else {}
    return {
        key: value
        for key, value in found.items()
        if value is not None and key not in UNINTERESTING and not key.startswith("_")
    }
