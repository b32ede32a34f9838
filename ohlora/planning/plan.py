"""Everything derived from one run's configuration: computed once and passed on, in the parent and in the child.

Each part is computed on first use and kept. What a phase changes on disk (a prepared model, a token file) is seen only
by a new plan: `Plan.refresh`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from ohlora.backends import backends
from ohlora.config.choices import Attention, Preflight
from ohlora.config.group import list_models
from ohlora.config.identity import flatten, run_id, select_measured
from ohlora.config.schema import Config
from ohlora.config.tasks import PREPARE, TASKS, TOKENIZE, Phase, Task
from ohlora.data.rows import DataFiles, Row
from ohlora.data.run_rows import RunRows, select_held_out, select_rows
from ohlora.data.tokens import Tokens, load_tokens, tokens_path
from ohlora.errors import UserError
from ohlora.estimate.capacity import Capacity, capacity
from ohlora.estimate.fit import Estimate, FitProblem, choose_checkpointing, judge_fit
from ohlora.estimate.parts import Settings
from ohlora.estimate.shape import Shape, shape_of
from ohlora.estimate.work import Work, count_work, guess_work
from ohlora.files import sha256_file, sha256_of
from ohlora.models import adapters, architectures
from ohlora.models.folder import LocalModel, has_tokenizer, is_there, source_hash
from ohlora.models.terms import licence_of
from ohlora.planning.validate import validate
from ohlora.records.layout import adapter_folder
from ohlora.records.manifest import PlannedRun

AGAINST = "judge.against"  # the key of the other adapter


def to_plain(composed: DictConfig) -> dict[str, Any]:
    """The resolved configuration as plain dicts, the form that is hashed and written."""
    resolved = OmegaConf.to_container(composed, resolve=True, enum_to_str=True)
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}


def plan_run(composed: DictConfig, files: DataFiles | None = None, **values: Any) -> Plan:
    """Plan a composed configuration, after setting `values` in it (`arm`, `repeat`).

    `files`: shared with the other runs of this command, so that each file is read once.

    Raises:
        UserError: every rule that the configuration breaks.
    """
    with open_dict(composed):
        for key, value in values.items():
            composed[key] = value
    return Plan(validate(composed), to_plain(composed), files or DataFiles())


def _hash_adapter(folder: Path) -> str:
    return sha256_of(sha256_file(path) for path in sorted(folder.glob("adapter_model.*")))


@dataclass(frozen=True)
class Plan:
    """One run: its configuration as typed objects and as plain dicts, and everything derived from them."""

    config: Config
    resolved: dict[str, Any] = field(default_factory=dict)
    files: DataFiles = field(default_factory=DataFiles)

    def refresh(self) -> Plan:
        """The same plan with nothing computed yet, except for the rows."""
        return replace(self)

    @property
    def task(self) -> Task:
        return TASKS[self.config.task.name]

    @property
    def arm(self) -> str:
        """The run's name in a comparison: set by the sweep, or else its back end."""
        return self.config.arm or f"backend={self.config.backend.name}"

    @cached_property
    def content(self) -> dict[str, Any]:
        """The configuration with each file's hash in place of its path, so that it is the same on every machine."""
        resolved, config = self.resolved, self.config
        hashed = {**resolved, "data": {**resolved["data"]}, "model": {**resolved["model"]}}
        hashed["data"] |= {"path": self.data_hash, "repo": None, "revision": None, "files": None}
        if config.model.path:
            hashed["model"]["path"] = source_hash(self.model)
        if config.adapter and (adapter := adapter_folder(config.adapter)):
            hashed["adapter"] = _hash_adapter(adapter)
        if config.judge.against and (against := adapter_folder(config.judge.against)):
            hashed["judge"] = {**resolved["judge"], "against": _hash_adapter(against)}
        return hashed

    def identify(self, arm: str | None = None) -> str:
        """The run's id. It depends on the content of files, not on their paths."""
        return run_id(self.content, arm or self.arm, self.config.repeat)

    def record_request(self, job: PlannedRun) -> PlannedRun:
        """Add the id and the requested settings to a planned run; reports read them if the run leaves no result."""
        return replace(job, run_id=self.identify(job.arm), asked=flatten(select_measured(self.content)))

    # The data

    @cached_property
    def data_hash(self) -> str:
        """sha256 of the data file; parent and child must see the same one."""
        return self.files.hash(self.config.data)

    @cached_property
    def rows(self) -> list[Row]:
        """All rows of the data file.

        Raises:
            UserError: the file cannot be used.
        """
        return self.files.rows(self.config.data)

    @cached_property
    def run_rows(self) -> RunRows:
        """The rows of this run, for training, evaluation and prompts.

        Raises:
            UserError: the file cannot be used, or has too few rows.
        """
        c = self.config
        return select_rows(self.rows, c.data.manifest, c.trainer, c.generation, self.task.trains, c.seed)

    @cached_property
    def held_out(self) -> list[Row]:
        """The held-out rows that the fine-tuned model of a selection answers.

        Raises:
            UserError: every row is used for training.
        """
        return select_held_out(self.rows, self.config.generation.prompts)

    @cached_property
    def tokens_path(self) -> Path:
        """The path of the token file, written by the phase tokenize once the model is prepared."""
        c = self.config
        return tokens_path(Path(c.outputs), c.model, self.model_folder, c.trainer.max_length, self.run_rows, c.data)

    # The model

    @cached_property
    def model(self) -> LocalModel:
        """The model option and where its files are."""
        return LocalModel(self.config.model, Path(self.config.models), Path(self.config.outputs) / ".hashes.json")

    @property
    def model_folder(self) -> Path:
        """The folder that this run loads the model from."""
        return self.model.folder

    @cached_property
    def licence(self) -> str:
        """The tag of the model's licence, as far as the files that are here show it."""
        return licence_of(self.model)

    @cached_property
    def adapter_folder(self) -> Path | None:
        """The folder of this run's saved adapter, possibly not fetched yet; None without an adapter.

        Raises:
            UserError: adapter=hub:… does not name a repository.
        """
        given = self.config.adapter
        return (adapters.published_folder(given, self.model.models) or adapter_folder(given)) if given else None

    @cached_property
    def against_folder(self) -> Path | None:
        """The folder of `judge.against`, possibly not fetched yet; None to judge against the base model.

        Raises:
            UserError: judge.against=hub:… does not name a repository.
        """
        given = self.config.judge.against
        if not given:
            return None
        return adapters.published_folder(given, self.model.models, AGAINST) or adapter_folder(given)

    @cached_property
    def lora_targets(self) -> tuple[str, ...]:
        """The modules that get an adapter.

        Raises:
            UserError: this architecture is unknown.
        """
        return tuple(architectures.lora_targets(self.config.model, self.config.lora.targets, self.model_folder))

    @cached_property
    def attention(self) -> Attention:
        return architectures.attention(self.config.model, self.model_folder)

    # The phases

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The task's phases, preceded by those that prepare a missing model and missing tokens."""
        if self.config.task.name == "prepare":
            return self.task.phases
        if self.config.task.name == "inspect_data":  # a tokenizer is enough
            return self.task.phases if has_tokenizer(self.model_folder) else (PREPARE, *self.task.phases)
        given = (self.config.adapter, self.config.judge.against)
        if not (is_there(self.model) and all(adapters.is_here(one, self.model.models) for one in given)):
            return (PREPARE, TOKENIZE, *self.task.phases)
        return self.task.phases if self.tokens_path.is_file() else (TOKENIZE, *self.task.phases)

    # Does it fit?

    @cached_property
    def capacity(self) -> Capacity:
        """What the device has free, read at first use."""
        return capacity(self.config.device, self.config.model.dtype, self.config.device_memory_gib)

    @cached_property
    def shape(self) -> Shape | None:
        """The model's layers and sizes; None if unknown."""
        return shape_of(self.config.model, self.model_folder)

    @cached_property
    def work(self) -> Work:
        """Token counts: exact if the rows are tokenised already, else guessed from their text."""
        c = self.config
        try:
            rows = self.run_rows
        except UserError:
            return guess_work(None, c.trainer, c.generation)
        if self.tokens_path.is_file():
            return count_work(load_tokens(self.tokens_path), c.trainer, c.generation)
        return guess_work(rows, c.trainer, c.generation)

    @cached_property
    def estimate(self) -> Estimate | None:
        """The memory that this run will take; None if the model's shape is unknown."""
        return self.estimate_on(self.capacity)

    def estimate_on(self, there: Capacity, tokens: Tokens | None = None) -> Estimate | None:
        """The same for another device, or with tokens that are loaded already."""
        if self.shape is None:
            return None
        c = self.config
        attention = self.attention if self.attention is not Attention.auto else Attention.sdpa
        settings = Settings(
            backend=backends()[c.backend.name],
            device=there.device,
            dtype=there.dtype,
            quantization=c.lora.quantization,
            attention=attention,
            method=c.lora.method,
            rank=c.lora.rank,
            targets=self.lora_targets,
            loss=c.trainer.loss,
            checkpointing=c.trainer.gradient_checkpointing,
            optimizer=c.trainer.optimizer,
            speed=c.trainer.speed,
        )
        work = count_work(tokens, c.trainer, c.generation) if tokens else self.work
        trains = self.task.trains or not self.task.phases
        return choose_checkpointing(Estimate(c.model.name, self.shape, work, settings, there, trains))

    def other_models(self) -> Iterator[Plan]:
        """The same run with each model of the group, starting with its own."""
        for model in list_models(self.config.model):
            yield self if model is self.config.model else replace(self, config=replace(self.config, model=model))

    @cached_property
    def fit_problem(self) -> FitProblem | None:
        """Why the run does not fit, or may not fit, and what would help; None if it fits.

        Not checked with preflight=off, nor for tasks that load no model.
        """
        loads = any(phase.backend for phase in self.task.phases)
        if not loads or self.config.preflight is Preflight.off or self.estimate is None:
            return None
        others = (plan.estimate_on(self.capacity) for plan in self.other_models())
        return judge_fit(self.estimate, self.config.trainer, others, self.config.preflight is Preflight.stop)
