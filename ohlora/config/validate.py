"""The rules that types cannot say. Collects every problem; touches no file, no network, no device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from math import isfinite
from typing import Any, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ohlora.backends import BACKENDS
from ohlora.config.schema import Checkpointing, Config, PromptFormat, Quantization, Source
from ohlora.errors import UserError, choose_from, suggest
from ohlora.models.licences import LICENCES
from ohlora.tasks import TASKS

DATA_FORMATS = ("csv", "jsonl")
TRACKERS = ("mlflow", "none")


def validated(composed: DictConfig) -> Config:
    """The composed configuration as typed objects.

    Raises:
        UserError: with every problem at once.
    """
    problems = [f"{key}: this key does not exist{hint}" for key, hint in unknown_keys(composed)]
    problems += [f"{key}: a value is required; give {key}=<value>" for key in missing_keys(composed)]
    if problems:
        raise UserError(problems)
    try:
        config = OmegaConf.to_object(composed)
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key or 'configuration'}: {str(error).splitlines()[0]}") from None
    assert isinstance(config, Config)
    problems = list(_problems(config))
    if problems:
        raise UserError(problems)
    return config


def known_keys(cls: Any = Config, prefix: str = "") -> dict[str, Any]:
    """Dotted key -> dataclass field type, of the whole schema."""
    keys: dict[str, Any] = {}
    hints = get_type_hints(cls)
    for item in fields(cls):
        kind = hints[item.name]
        keys[prefix + item.name] = kind
        if is_dataclass(kind):
            keys.update(known_keys(kind, f"{prefix}{item.name}."))
    return keys


def unknown_keys(composed: DictConfig) -> Iterator[tuple[str, str]]:
    """Keys that nothing reads (`+train.stepz=3` adds one without complaint), each with a suggestion."""
    known = known_keys()

    def walk(node: DictConfig, prefix: str) -> Iterator[str]:
        for name in map(str, node):
            key = f"{prefix}{name}"
            if key not in known:
                yield key
            elif is_dataclass(known[key]) and not OmegaConf.is_missing(node, name):
                yield from walk(node[name], f"{key}.")

    for key in walk(composed, ""):
        yield key, suggest(key, known)


def missing_keys(composed: DictConfig) -> list[str]:
    """Keys that still read `???`, optional groups included."""
    return sorted(OmegaConf.missing_keys(composed))


def allowed_values(key: str) -> str:
    """'float32 | bfloat16' or 'an integer', for a message about a value of the wrong type."""
    kind: Any = known_keys().get(key)
    if get_origin(kind) is not list:  # of `X | None` the X
        kind = next((k for k in get_args(kind) if k is not type(None)), kind)
    if get_origin(kind) is list:
        return "a list such as [a,b]"
    if hasattr(kind, "__members__"):
        return " | ".join(kind.__members__)
    names = {int: "an integer", float: "a number", bool: "true or false", str: "text"}
    return names.get(kind, "another type")


def _problems(c: Config) -> Iterator[str]:
    yield from _choices(c)
    yield from _ranges(c)
    yield from _combinations(c)
    yield from _sources(c)


def _choices(c: Config) -> Iterator[str]:
    if c.task.name not in TASKS:
        yield choose_from("task.name", c.task.name, TASKS)
    if c.backend.name not in BACKENDS:
        yield choose_from("backend.name", c.backend.name, BACKENDS)
    if c.data.format not in DATA_FORMATS:
        yield choose_from("data.format", c.data.format, DATA_FORMATS)
    if c.tracking.name not in TRACKERS:
        yield choose_from("tracking.name", c.tracking.name, TRACKERS)
    if c.model.license not in LICENCES:
        yield choose_from("model.license", c.model.license, LICENCES)


def _ranges(c: Config) -> Iterator[str]:
    at_least: dict[str, tuple[float | None, float]] = {
        "lora.rank": (c.lora.rank, 1),
        "lora.alpha": (c.lora.alpha, 1),
        "trainer.epochs": (c.trainer.epochs, 0.01),
        "trainer.max_steps": (c.trainer.max_steps, 1),
        "trainer.batch_size": (c.trainer.batch_size, 1),
        "trainer.gradient_accumulation": (c.trainer.gradient_accumulation, 1),
        "trainer.train_rows": (c.trainer.train_rows, 1),
        "trainer.eval_rows": (c.trainer.eval_rows, 0),
        "trainer.max_length": (c.trainer.max_length, 8),
        "trainer.warm_steps": (c.trainer.warm_steps, 0),
        "trainer.samples": (c.trainer.samples, 0),
        "trainer.warmup_ratio": (c.trainer.warmup_ratio, 0),
        "trainer.weight_decay": (c.trainer.weight_decay, 0),
        "trainer.max_grad_norm": (c.trainer.max_grad_norm, 0),
        "generation.prompts": (c.generation.prompts, 1),
        "generation.max_new_tokens": (c.generation.max_new_tokens, 1),
        "generation.min_new_tokens": (c.generation.min_new_tokens, 0),
        "launch.threads": (c.launch.threads, 1),
        "compare.pairs": (c.compare.pairs, 1),
        "repeat": (c.repeat, 0),
        "seed": (c.seed, 0),
    }
    for key, (value, least) in at_least.items():
        if value is not None and not (isfinite(value) and value >= least):
            yield f"{key}={value}: must be >= {least:g}"
    if not 0 <= c.lora.dropout < 1:
        yield f"lora.dropout={c.lora.dropout}: must be >= 0 and < 1"
    if c.trainer.warmup_ratio > 1:
        yield f"trainer.warmup_ratio={c.trainer.warmup_ratio}: must be <= 1"
    if not (isfinite(c.trainer.learning_rate) and c.trainer.learning_rate > 0):
        yield f"trainer.learning_rate={c.trainer.learning_rate}: must be > 0"
    if c.launch.timeout_s is not None and not c.launch.timeout_s > 0:
        yield f"launch.timeout_s={c.launch.timeout_s}: must be > 0, or null for no limit"


def _combinations(c: Config) -> Iterator[str]:
    if c.generation.min_new_tokens > c.generation.max_new_tokens:
        yield (
            f"generation.min_new_tokens={c.generation.min_new_tokens}: must be <= "
            f"generation.max_new_tokens={c.generation.max_new_tokens}"
        )
    if c.model.prompt_format is PromptFormat.plain and "{prompt}" not in (c.model.prompt_template or ""):
        yield f"model.prompt_template={c.model.prompt_template}: must contain {{prompt}} when model.prompt_format=plain"
    if not (c.lora.targets or c.model.lora_targets):
        yield "lora.targets=[]: name at least one module, for example lora.targets=[q_proj,v_proj]"
    if c.adapter is not None and c.task.name != "infer":
        yield f"adapter={c.adapter}: only task=infer takes an adapter; leave it out or give task=infer"
    if c.lora.quantization is Quantization.nf4 and c.model.dtype.value == "float16" and c.device.value == "cpu":
        yield "model.dtype=float16: 4-bit on CPU computes in bfloat16 or float32; choose one of them"
    if c.trainer.gradient_checkpointing is Checkpointing.unsloth and c.backend.name != "unsloth":
        yield (
            f"trainer.gradient_checkpointing=unsloth: backend={c.backend.name} has no such thing; choose standard "
            "or none"
        )
    if c.compare.pairs > 1 and c.compare.pairs % 2:
        yield (
            f"compare.pairs={c.compare.pairs}: must be even, so that each arm goes first equally often (or 1, for a "
            "table without a verdict)"
        )
    if c.compare.recommended and not c.compare.arms:
        yield "compare.recommended: is a second track beside compare.arms, which is empty; give compare.arms"
    if not c.launch.isolate and c.task.name == "benchmark":
        yield (
            "launch.isolate=false: task=benchmark has two phases that need a process each; use task=infer or task=train"
        )


def _sources(c: Config) -> Iterator[str]:
    if c.data.path is not None and c.data.manifest is not None:
        yield (
            f"data.path={c.data.path}: data.manifest={c.data.manifest} lists ids of the shipped set; "
            "use data=csv or data=jsonl"
        )
    if c.data.path is None and c.data.name != "ohlora":
        yield f"data.path=null: data={c.data.name} needs the file; give data.path=<file>"
    if c.model.path is None:
        if c.model.source is Source.embedded and not c.model.package:
            yield "model.package=null: an embedded model needs the name of the package that holds its weights"
        if c.model.source is Source.hub and not c.model.repo:
            yield "model.repo=null: a hub model needs owner/name, or give model.path=<folder>"
        if c.model.source is Source.local:
            yield "model.path=null: a local model needs its folder; give model.path=<folder>"
