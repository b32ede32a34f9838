"""Settings: what was asked for, what was in effect, and what differed between two arms besides what was asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ohlora.report.reading import Arm, asked_of
from ohlora.result import Result

# A setting in effect and the parts of the configuration that decide it: differing there, it differs as asked.
DECIDED_BY: dict[str, tuple[str, ...]] = {
    "dtype": ("model",),
    "mixed_precision": ("model",),
    "attention": ("model",),
    "quantization": ("lora.quantization",),
    "gradient_checkpointing": ("trainer.gradient_checkpointing",),
    "gradient_checkpointing_kwargs": ("trainer.gradient_checkpointing",),
    "optimizer": ("trainer.optimizer",),
    "optimizer_fused": ("trainer.optimizer",),
    "optim": ("trainer.optimizer",),
    "loss": ("trainer.loss",),
    "loss_type": ("trainer.loss",),
    "loss_kernel": ("trainer.loss", "backend"),
    "steps": ("trainer", "data"),
    "batch_size": ("trainer",),
    "truncated_rows": ("trainer.max_length", "data", "model"),
    "parameters": ("lora", "model"),
    "adapter_parameters": ("lora", "model"),
    "trainable_parameters": ("lora", "model"),
    "model_class": ("model",),
    "route": ("backend",),
    "trainer_class": ("backend",),
    "backend": ("backend",),
    "patches": ("backend",),
    "device": ("device",),
}
# The trainer's arguments that say where files go, or that both sides make up for themselves.
UNINTERESTING = ("_dir", "_name", "hub_", "push_", "report_to", "_n_gpu", "_token", "vllm", "run_id")
REQUESTED = {
    "model.dtype": ("dtype",),
    "model.attention": ("train.attention", "infer.attention"),
    "lora.quantization": ("train.quantization", "infer.quantization"),
    "trainer.gradient_checkpointing": ("train.gradient_checkpointing",),
    "trainer.optimizer": ("train.optimizer",),
    "trainer.loss": ("train.loss",),
    "device": ("device",),
}


@dataclass(frozen=True)
class Difference:
    """A setting that was not the same in both arms. `asked`: the arms were asked to differ there."""

    key: str
    baseline: str
    other: str
    asked: bool


def asked_to_differ(baseline: Result, other: Result) -> list[str]:
    """The keys of the configuration in which two runs were asked to differ."""
    left, right = flat(asked_of(baseline)), flat(asked_of(other))
    return sorted(key for key in {*left, *right} if left.get(key) != right.get(key))


def differences(baseline: Result, other: Result) -> Iterator[Difference]:
    """What differed in effect, the trainer's resolved arguments included."""
    asked = asked_to_differ(baseline, other)
    sides = [flat(run.effective) | {f"arguments.{k}": v for k, v in _arguments(run)} for run in (baseline, other)]
    for key in sorted(set(sides[0]) & set(sides[1])):
        left, right = str(sides[0][key]), str(sides[1][key])
        if left != right:
            yield Difference(key, left, right, was_asked(key.rsplit(".", 1)[-1], asked))


def was_asked(name: str, asked: list[str]) -> bool:
    """True when a setting of this name follows from what the arms were asked to differ in."""
    parts = (*DECIDED_BY.get(name, ()), f"trainer.{name}")
    return any(key == part or key.startswith(f"{part}.") for key in asked for part in parts)


def changed_by_itself(arm: Arm) -> Iterator[tuple[str, str, str]]:
    """(key, asked for, in effect) where a run did otherwise than it was asked; 'auto' is no request."""
    run = arm.first
    if run is None:
        return
    asked, effective = flat(run.requested), flat(run.effective)
    for key, places in REQUESTED.items():
        want = asked.get(key)
        have = next((effective[place] for place in places if place in effective), None)
        if want is not None and have is not None and not _same(str(want), str(have), effective):
            yield key, str(want), str(have)


def _same(want: str, have: str, effective: dict[str, Any]) -> bool:
    """An option's name and what a library calls it."""
    fused = effective.get("train.optimizer_fused")
    names = {
        "auto": have,
        "adamw_torch": "AdamW" if not fused else "",
        "adamw_torch_fused": "AdamW" if fused else "",
        "adamw_8bit": "AdamW8bit",
        "adamw_bnb_8bit": "AdamW8bit",
        "standard": "torch.utils.checkpoint",
        "unsloth": have if "unsloth" in have else "",
    }
    return names.get(want, want) == have


def _arguments(run: Result) -> list[tuple[str, Any]]:
    return [(k, v) for k, v in run.arguments.items() if not any(part in k for part in UNINTERESTING)]


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{'train': {'loss': x}} -> {'train.loss': x}."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found
