"""Settings: requested, in effect, and different between two arms without having been requested."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ohlora.backends import backends
from ohlora.config.identity import flatten
from ohlora.records.result import Result
from ohlora.report.reading import ArmRuns, requested_work

# Settings in effect, and the parts of the configuration that decide them: if those differ, a difference is intended.
_MODEL = ("model.name", "model.repo", "model.revision", "model.package", "model.architecture")
_STEPS = (
    "data",
    "trainer.train_rows",
    "trainer.batch_size",
    "trainer.gradient_accumulation",
    "trainer.epochs",
    "trainer.max_steps",
)
_SETTINGS_BY_PARTS: dict[str, tuple[str, ...]] = {
    "dtype mixed_precision bf16 fp16": ("model.dtype",),
    "attention": ("model.attention", *_MODEL),
    "quantization": ("lora.quantization",),
    "lora_method": ("lora.method",),
    "lora_rank": ("lora.rank",),
    "lora_alpha": ("lora.alpha",),
    "lora_scale": ("lora.method", "lora.rank", "lora.alpha"),
    "gradient_checkpointing_kwargs": ("trainer.gradient_checkpointing",),
    "optimizer_fused optim": ("trainer.optimizer",),
    "loss_type": ("trainer.loss",),
    "loss_kernel": ("trainer.loss", "backend"),
    "steps": _STEPS,
    "warmup_steps": ("trainer.warmup_ratio", *_STEPS),
    "num_train_epochs": ("trainer.epochs",),
    "per_device_train_batch_size": ("trainer.batch_size",),
    "gradient_accumulation_steps": ("trainer.gradient_accumulation",),
    "lr_scheduler_type": ("trainer.schedule", "trainer.warmup_ratio"),
    "data_seed seed": ("seed",),
    "truncated_rows": ("trainer.max_length", "data", *_MODEL),
    "parameters adapter_parameters trainable_parameters": ("lora", *_MODEL),
    "model_class eos_token_id pad_token_id": _MODEL,
    "chat_date": ("model.prompt_format", *_MODEL),
    "min_new_tokens max_new_tokens": ("generation",),
    "do_sample temperature top_p top_k repetition_penalty num_beams stop retries retry_on": ("decoding",),
    "generation_batch": ("generation", "decoding"),
    "cache_implementation": ("backend", *_MODEL),
    "route trainer_class backend patches": ("backend",),
    "device use_cpu": ("device",),
}
DECIDED_BY = {name: parts for names, parts in _SETTINGS_BY_PARTS.items() for name in names.split()}
# Arguments of the trainer that name folders, or that each side generates itself.
UNINTERESTING = ("output_dir", "logging_dir", "run_name", "project", "trackio_space_id", "trackio_bucket_id", "_n_gpu")
UNINTERESTING_PREFIXES = ("hub_", "push_to_hub", "vllm_", "report_to")
REQUESTED = {
    "model.dtype": ("dtype",),
    "model.attention": ("train.attention", "infer.attention"),
    "lora.quantization": ("train.quantization", "infer.quantization"),
    "lora.method": ("train.lora_method",),
    "lora.rank": ("train.lora_rank",),
    "lora.alpha": ("train.lora_alpha",),
    "trainer.gradient_checkpointing": ("train.gradient_checkpointing",),
    "trainer.optimizer": ("train.optimizer",),
    "trainer.loss": ("train.loss",),
    "device": ("device",),
}


@dataclass(frozen=True)
class Difference:
    """A setting that was not the same in both arms. `asked`: the difference was requested."""

    key: str
    baseline: str
    other: str
    asked: bool


def list_requested_differences(baseline: Result, other: Result) -> list[str]:
    """The keys of the configuration that were requested to differ between two runs."""
    left, right = flatten(requested_work(baseline)), flatten(requested_work(other))
    return sorted(key for key in {*left, *right} if left.get(key) != right.get(key))


def list_differences(baseline: Result | None, other: Result | None) -> Iterator[Difference]:
    """The settings in effect that differ, with the trainer's resolved arguments; nothing without two runs."""
    if baseline is None or other is None:
        return
    asked = list_requested_differences(baseline, other)
    sides = [flatten(run.effective) | {f"arguments.{k}": v for k, v in _arguments(run)} for run in (baseline, other)]
    for key in sorted(set(sides[0]) | set(sides[1])):
        left, right = (str(side.get(key, "—")) for side in sides)
        if left != right:
            yield Difference(key, left, right, is_intended(key.rsplit(".", 1)[-1], asked))


def is_intended(name: str, asked: list[str]) -> bool:
    """True when a setting of this name follows from the requested differences."""
    return touches(asked, (*DECIDED_BY.get(name, ()), f"trainer.{name}"))


def touches(asked: Sequence[str], parts: Sequence[str]) -> bool:
    """Is one of the requested differences one of these parts, or under one?"""
    return any(key == part or key.startswith(f"{part}.") for key in asked for part in parts)


def list_unrequested_changes(arm: ArmRuns) -> Iterator[tuple[str, str, str]]:
    """(key, requested, in effect) where a run did not do what was requested; 'auto' is no request."""
    run = arm.first
    if run is None:
        return
    asked, effective = flatten(run.requested), flatten(run.effective)
    for key, places in REQUESTED.items():
        want = asked.get(key)
        have = next((effective[place] for place in places if place in effective), None)
        if want is not None and have is not None and not _same(str(want), str(have), effective):
            yield key, str(want), str(have)


def _same(want: str, have: str, effective: dict[str, Any]) -> bool:
    """Do an option's name and a library's name mean the same?"""
    fused = effective.get("train.optimizer_fused")
    names = {
        "auto": have,
        "adamw_torch": "AdamW" if not fused else "",
        "adamw_torch_fused": "AdamW" if fused else "",
        "adamw_8bit": "AdamW8bit",
        "adamw_bnb_8bit": "AdamW8bit",
        "standard": "torch.utils.checkpoint",
    }
    return names.get(want, want) == have or ("." in have and have.startswith(want))  # a module of that name


def _arguments(run: Result) -> list[tuple[str, Any]]:
    own = tuple(prefix for known in backends().values() for prefix in known.argument_prefixes)
    return [
        (key, value)
        for key, value in run.arguments.items()
        if key not in UNINTERESTING and not key.startswith((*own, *UNINTERESTING_PREFIXES))
    ]
