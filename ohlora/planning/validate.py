"""The rules that types cannot express. Collects every problem; uses no file, network or device."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import isfinite
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ohlora.backends import backend, backends
from ohlora.config.choices import LoraMethod, Loss, Quantization, Source, Speed
from ohlora.config.keys import missing_keys, unknown_keys
from ohlora.config.schema import Config
from ohlora.config.tasks import TASKS
from ohlora.data.run_rows import list_eval_settings
from ohlora.data.sources import SETS
from ohlora.errors import UserError, choose_from
from ohlora.measure.gpus import is_device
from ohlora.models.architectures import ARCHITECTURES, find_architecture
from ohlora.models.card import CUSTOM
from ohlora.models.licences import ACCEPT_ANSWERS, LICENCES
from ohlora.persona.problems import find_card_problems
from ohlora.planning.decoding_rules import decoding_problems
from ohlora.planning.judge_rules import judge_problems

DATA_FORMATS = ("auto", "csv", "jsonl")
HUB_DATA = "hub"
TRACKERS = ("mlflow", "none")
REPO = re.compile(r"[\w.-]+/[\w.-]+")


def validate(composed: DictConfig) -> Config:
    """Check the composed configuration and return it as typed objects.

    Raises:
        UserError: with every problem at once.
    """
    problems = [f"{key}: this key does not exist{hint}" for key, hint in unknown_keys(composed)]
    try:
        problems += [f"{key}: a value is required; give {key}=<value>" for key in missing_keys(composed)]
        if problems:
            raise UserError(problems)
        config = OmegaConf.to_object(composed)
    except OmegaConfBaseException as error:
        raise UserError(_unresolved(error)) from None
    assert isinstance(config, Config)
    problems = list(_problems(config))
    if problems:
        raise UserError(problems)
    return config


def _unresolved(error: OmegaConfBaseException) -> str:
    """Explain a key whose value comes from another key that is null (`model=hub` is named after `model.repo`)."""
    first = str(error).splitlines()[0]
    source = re.search(r"interpolation '\$\{([\w.]+)\}'.*'None'", first)
    if source:
        return f"{source[1]}=null: a value is required; give {source[1]}=<value>"
    return f"{error.full_key or 'configuration'}: {first}"


def uses_adapter(c: Config) -> bool:
    """False with lora=none, which uses no adapter."""
    return c.lora.method is not LoraMethod.none


def _problems(c: Config) -> Iterator[str]:
    yield from _choices(c)
    yield from _ranges(c)
    yield from _combinations(c)
    yield from _curve(c)
    yield from _launch(c)
    yield from _sources(c)
    yield from decoding_problems(c)
    yield from judge_problems(c)
    yield from find_card_problems(c.persona)


def _choices(c: Config) -> Iterator[str]:
    if c.task.name not in TASKS:
        yield choose_from("task.name", c.task.name, TASKS)
    if c.backend.name not in backends():
        yield choose_from("backend.name", c.backend.name, backends())
    else:
        yield from backend(c.backend.name).problems(c)
    if not is_device(c.device):
        yield f"device={c.device}: choose from auto, cpu, cuda, or cuda:<number> (with several GPUs)"
    if c.trainer.speed is Speed.fast and c.trainer.loss is Loss.nll:
        yield "trainer.loss=nll: trainer.speed=fast has a loss of its own; remove one of them"
    if c.trainer.compile and c.trainer.speed is not Speed.fast:
        yield "trainer.compile=true: only trainer.speed=fast compiles; give it too, or remove trainer.compile"
    if c.data.format not in DATA_FORMATS:
        yield choose_from("data.format", c.data.format, DATA_FORMATS)
    if c.tracking.name not in TRACKERS:
        yield choose_from("tracking.name", c.tracking.name, TRACKERS)
    if c.model.license is not None and c.model.license not in LICENCES:
        yield choose_from("model.license", c.model.license, LICENCES)
    given = (c.model.accept_license or "true").lower()
    own = c.model.license is None or c.model.license.startswith(CUSTOM) or c.adapter is not None  # from the card
    if given not in ACCEPT_ANSWERS and given not in LICENCES and not own:
        yield choose_from("model.accept_license", c.model.accept_license, ("true", *LICENCES))
    if c.model.architecture is not None and c.model.architecture not in ARCHITECTURES and not c.model.lora_targets:
        yield f"{choose_from('model.architecture', c.model.architecture, ARCHITECTURES)}; or give model.lora_targets"


def _ranges(c: Config) -> Iterator[str]:
    at_least: dict[str, tuple[float | None, float]] = {
        "lora.rank": (c.lora.rank, 1 if uses_adapter(c) else 0),
        # follows the rank by default, whose problem is reported once
        "lora.alpha": (c.lora.alpha if c.lora.alpha != c.lora.rank else None, 1 if uses_adapter(c) else 0),
        "trainer.epochs": (c.trainer.epochs, 0.01),
        "trainer.max_steps": (c.trainer.max_steps, 1),
        "trainer.batch_size": (c.trainer.batch_size, 1),
        "trainer.gradient_accumulation": (c.trainer.gradient_accumulation, 1),
        "trainer.train_rows": (c.trainer.train_rows, 1),
        "trainer.eval_rows": (c.trainer.eval_rows, 0),
        "trainer.max_length": (c.trainer.max_length, 8),
        "trainer.warm_steps": (c.trainer.warm_steps, 0),
        "trainer.patience": (c.trainer.patience, 1),
        "trainer.eval_every": (c.trainer.eval_every, 1),
        "trainer.sample_every": (c.trainer.sample_every, 1),
        "trainer.samples": (c.trainer.samples, 0),
        "trainer.warmup_ratio": (c.trainer.warmup_ratio, 0),
        "trainer.weight_decay": (c.trainer.weight_decay, 0),
        "trainer.max_grad_norm": (c.trainer.max_grad_norm, 0),
        "generation.prompts": (c.generation.prompts, 1),
        "generation.max_new_tokens": (c.generation.max_new_tokens, 1),
        "generation.min_new_tokens": (c.generation.min_new_tokens, 0),
        "launch.threads": (c.launch.threads, 1),
        "compare.pairs": (c.compare.pairs, 1),
        "compare.redo": (c.compare.redo, 0),
        "curve.seeds": (c.curve.seeds, 1),
        "device_memory_gib": (c.device_memory_gib, 0.1),
        "repeat": (c.repeat, 0),
        "seed": (c.seed, 0),
    }
    for key, (value, least) in at_least.items():
        if value is not None and not (isfinite(value) and value >= least):
            yield f"{key}={value}: must be >= {least:g}"
    if not re.fullmatch("auto|[1-9][0-9]*", c.generation.batch):
        yield f"generation.batch={c.generation.batch}: must be auto, or a number >= 1"
    if not 0 <= c.lora.dropout < 1:
        yield f"lora.dropout={c.lora.dropout}: must be >= 0 and < 1"
    if c.trainer.warmup_ratio > 1:
        yield f"trainer.warmup_ratio={c.trainer.warmup_ratio}: must be <= 1"
    if not (isfinite(c.trainer.learning_rate) and c.trainer.learning_rate > 0):
        yield f"trainer.learning_rate={c.trainer.learning_rate}: must be > 0"
    if not 0 < c.trainer.train_share <= 1:
        yield f"trainer.train_share={c.trainer.train_share}: must be > 0 and <= 1"
    alpha = c.trainer.neftune_alpha
    if alpha is not None and not (isfinite(alpha) and alpha > 0):
        yield f"trainer.neftune_alpha={alpha}: must be > 0, or null for no noise"
    if c.launch.timeout_s is not None and not c.launch.timeout_s > 0:
        yield f"launch.timeout_s={c.launch.timeout_s}: must be > 0, or null for no limit"


def _combinations(c: Config) -> Iterator[str]:
    if c.generation.min_new_tokens > c.generation.max_new_tokens:
        yield (
            f"generation.min_new_tokens={c.generation.min_new_tokens}: must be <= "
            f"generation.max_new_tokens={c.generation.max_new_tokens}"
        )
    template = c.model.prompt_template
    if template is not None and "{prompt}" not in template:
        yield f"model.prompt_template={c.model.prompt_template}: must contain {{prompt}}, the place of the question"
    if c.lora.targets == [] or (c.lora.targets is None and c.model.lora_targets == []):
        yield "lora.targets=[]: name at least one module, for example lora.targets=[q_proj,v_proj]"
    if not uses_adapter(c) and c.task.name in TASKS and TASKS[c.task.name].trains:
        yield f"lora=none: task={c.task.name} trains an adapter; choose another lora, or task=infer"
    yield from _evaluations(c)
    if c.lora.quantization is Quantization.nf4 and c.model.dtype.value == "float16" and c.device == "cpu":
        yield "model.dtype=float16: 4-bit on CPU computes in bfloat16 or float32; choose one of them"
    lawful = find_architecture(c.model.architecture)
    if lawful and lawful.licence and c.model.license not in (None, lawful.licence):
        yield (
            f"model.license={c.model.license}: {c.model.architecture} models are under {lawful.licence}, which "
            "also covers models derived from them; remove model.license"
        )
    if c.compare.pairs > 1 and c.compare.pairs % 2:
        yield (
            f"compare.pairs={c.compare.pairs}: must be even, so that each arm runs first equally often (or 1, for a "
            "table without verdicts)"
        )
    if c.compare.recommended and not c.compare.arms:
        yield "compare.recommended: needs compare.arms, which is empty; give compare.arms"
    if c.model.context and c.trainer.max_length > c.model.context:
        yield f"trainer.max_length={c.trainer.max_length}: {c.model.name} reads at most {c.model.context} tokens"


def _is_text_or_list(path: Any) -> bool:
    return isinstance(path, str) or (isinstance(path, list) and all(isinstance(one, str) for one in path))


def _curve(c: Config) -> Iterator[str]:
    shares = c.curve.shares
    if len(shares) < 2 or shares != sorted(set(shares)) or not all(0 < share <= 1 for share in shares):
        yield f"curve.shares={shares}: must be two or more shares > 0 and <= 1, ascending, such as [0.25,0.5,1.0]"
    if c.task.name != "curve":
        return
    if c.trainer.eval_rows == 0:
        yield "task=curve: compares the eval loss, and trainer.eval_rows=0 evaluates no row; remove trainer.eval_rows"
    if c.trainer.train_share != 1:
        yield f"trainer.train_share={c.trainer.train_share}: task=curve sets it for each run; give curve.shares instead"
    if c.compare.arms:
        yield "compare.arms: task=curve plans its own runs; remove compare.arms, or give another task"


def _evaluations(c: Config) -> Iterator[str]:
    """What needs the eval loss during training, or prompts to answer, needs rows for it."""
    for setting in list_eval_settings(c.trainer) if c.trainer.eval_rows == 0 else ():
        yield f"{setting}: needs an eval loss, and trainer.eval_rows=0 evaluates no row; remove one of them"
    if c.trainer.sample_every is not None and (c.trainer.samples == 0 or c.trainer.eval_rows == 0):
        none = "trainer.samples=0" if c.trainer.samples == 0 else "trainer.eval_rows=0"
        yield f"trainer.sample_every={c.trainer.sample_every}: {none} leaves no prompt to answer; remove one of them"


def _launch(c: Config) -> Iterator[str]:
    phases = len(TASKS[c.task.name].phases) if c.task.name in TASKS else 1
    if not c.launch.isolate and phases > 1:
        yield (
            f"launch.isolate=false: task={c.task.name} has {phases} phases, each in its own process; use task=infer or "
            "task=train"
        )
    if c.launch.warm and (c.compare.arms or c.task.name == "benchmark"):
        compared = "compare.arms" if c.compare.arms else "task=benchmark"
        yield (
            f"launch.warm=true: {compared} is for comparing, where each phase starts cold; use task=train, infer or "
            "selection"
        )
    if c.launch.warm and (c.launch.prefix or not c.launch.isolate):
        other = f"launch.prefix={c.launch.prefix}" if c.launch.prefix else "launch.isolate=false"
        yield f"launch.warm=true: cannot be combined with {other}; remove one of them"


def _sources(c: Config) -> Iterator[str]:
    if c.data.path is not None and c.data.manifest is not None:
        yield (f"data.path={c.data.path}: data.manifest={c.data.manifest} lists ids of the shipped set; use data=file")
    if c.data.path is not None and not _is_text_or_list(c.data.path):
        yield f"data.path={c.data.path}: must be a path, or a list of paths: 'data.path=[a.csv,b.jsonl]'"
    if c.data.name == HUB_DATA and not REPO.fullmatch(c.data.repo or ""):
        yield f"data.repo={c.data.repo}: a published data set needs owner/name"
    for key in ("repo", "revision", "files"):
        if c.data.name != HUB_DATA and getattr(c.data, key) is not None:
            yield f"data.{key}={getattr(c.data, key)}: data={c.data.name} is not from the hub; add data=hub"
    if not c.data.path and c.data.name not in SETS:
        yield f"data.path=null: data={c.data.name} needs the file; give data.path=<file>"
    if c.model.path is None:
        if c.model.source is Source.embedded and not c.model.package:
            yield "model.package=null: an embedded model needs the name of the package with its weights"
        if c.model.source is Source.hub and not REPO.fullmatch(c.model.repo or ""):
            yield f"model.repo={c.model.repo}: a hub model needs owner/name, or give model.path=<folder>"
        if c.model.source is Source.local:
            yield "model.path=null: a local model needs its folder; give model.path=<folder>"
