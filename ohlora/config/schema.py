"""The types of every key in `conf/`: one dataclass per group. YAML holds the values, this file the types."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from ohlora.config.choices import (
    Attention,
    Dtype,
    Fault,
    Keep,
    Lang,
    LoraMethod,
    Loss,
    Overlong,
    Preflight,
    PromptFormat,
    Quantization,
    Schedule,
    Separator,
    Source,
    SpeechLevel,
    Speed,
    Split,
    TrainOn,
    Weights,
)


@dataclass
class TaskConfig:
    name: str = MISSING


@dataclass
class BackendConfig:
    name: str = MISSING


@dataclass
class ShapeConfig:
    """The sizes that decide a model's memory, used while its config.json is not here."""

    layers: int = MISSING
    hidden_size: int = MISSING
    intermediate_size: int = MISSING
    heads: int = MISSING
    kv_heads: int = MISSING
    head_dim: int = MISSING
    vocab_size: int = MISSING
    tied_embeddings: bool = MISSING


@dataclass
class ModelConfig:
    """Facts about a model. `architecture`, `license`, `params_m`, `shape`: null reads them from its files."""

    name: str = MISSING
    label: str = MISSING
    source: Source = MISSING
    repo: str | None = None
    revision: str | None = None
    package: str | None = None
    path: str | None = None
    weights: Weights = Weights.safetensors
    remote_code: str | None = None
    architecture: str | None = None
    license: str | None = None
    accept_license: str | None = None
    params_m: float | None = None
    context: int | None = None
    shape: ShapeConfig | None = None
    dtype: Dtype = Dtype.auto
    attention: Attention = Attention.auto
    prompt_format: PromptFormat = PromptFormat.auto
    prompt_template: str | None = None
    lora_targets: list[str] | None = None


@dataclass
class LoraConfig:
    method: LoraMethod = LoraMethod.lora
    rank: int = MISSING
    alpha: int = MISSING
    dropout: float = MISSING
    targets: list[str] | None = None
    quantization: Quantization = Quantization.none


@dataclass
class ColumnsConfig:
    """Column names in the user's file. Only prompt and response must exist."""

    prompt: str = "prompt"
    response: str = "response"
    split: str | None = "split"
    id: str | None = "id"
    category: str | None = "category"
    memory: str | None = "memory"
    checks: str | None = "checks"


@dataclass
class SplitValuesConfig:
    """The words of a split column that mean each split; null: the usual ones."""

    train: list[str] | None = None
    validation: list[str] | None = None
    test: list[str] | None = None


@dataclass
class DataConfig:
    """`path`: a file, a folder, a pattern, or a list of them; of a published set the folder that keeps it. `format`:
    auto tells it by the content. `files`: a pattern for the files of `repo`."""

    name: str = MISSING
    format: str = MISSING
    path: Any = None
    repo: str | None = None
    revision: str | None = None
    files: str | None = None
    manifest: str | None = None
    columns: ColumnsConfig = field(default_factory=ColumnsConfig)
    encoding: str = "auto"
    separator: Separator = Separator.auto
    split_values: SplitValuesConfig = field(default_factory=SplitValuesConfig)
    split_seed: int = 42
    train_on: TrainOn = TrainOn.all
    overlong: Overlong = Overlong.cut


@dataclass
class SayingConfig:
    """What a persona answers to some questions. `contains`: a right answer holds one of these."""

    says: str = MISSING
    contains: list[str] = field(default_factory=list)
    asks: list[str] = field(default_factory=list)


@dataclass
class PersonaConfig:
    """Who the model is. A fact or a refusal that is null is left out (to drop one of a card that yours starts from)."""

    name: str = ""  # '' in tasks that need no persona
    called: list[str] = field(default_factory=list)
    speech_level: SpeechLevel = SpeechLevel.haeyo
    facts: dict[str, SayingConfig | None] = field(default_factory=dict)
    memory_keys: list[str] = field(default_factory=list)
    forget_key: str = "삭제"
    refusals: dict[str, SayingConfig | None] = field(default_factory=dict)
    refusal_forms: list[str] = field(default_factory=list)
    unknown_forms: list[str] = field(default_factory=list)
    numbers: dict[str, str] = field(default_factory=dict)


@dataclass
class TrainerConfig:
    name: str = MISSING
    train_rows: int | None = None
    eval_rows: int | None = None
    epochs: float = MISSING
    max_steps: int | None = None
    batch_size: int = MISSING
    gradient_accumulation: int = 1
    learning_rate: float = MISSING
    schedule: Schedule = Schedule.linear
    warmup_ratio: float = 0.0
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    optimizer: str = "adamw_torch_fused"
    loss: Loss = Loss.chunked_nll
    speed: Speed = Speed.plain
    compile: bool = False
    gradient_checkpointing: str = "none"  # one of the back end's `checkpointing`, or auto: none if the memory allows
    max_length: int = MISSING
    warm_steps: int = MISSING
    samples: int = 0
    keep: Keep = Keep.last
    patience: int | None = None  # evaluations in a row without a lower loss before training stops
    eval_every: int | None = None  # steps; null: each epoch
    sample_every: int | None = None  # steps; null: only after training
    neftune_alpha: float | None = None  # strength of the noise on the embeddings; null: none
    train_share: float = 1.0  # of the training rows; smaller shares are parts of larger ones


@dataclass
class GenerationConfig:
    name: str = MISSING
    prompts: int | None = None
    split: Split | None = None
    ask: list[str] | None = None
    max_new_tokens: int = MISSING
    min_new_tokens: int = 0
    batch: str = "1"  # prompts at once, or auto
    warmup: bool = True


@dataclass
class DecodingConfig:
    """How the next token is chosen, what ends an answer, and which answers are asked for again."""

    name: str = "greedy"
    do_sample: bool = False
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    num_beams: int = 1
    stop: list[str] = field(default_factory=list)
    retries: int = 0
    retry_on: list[Fault] = field(default_factory=lambda: list(Fault))


@dataclass
class JudgeConfig:
    """task=judge: what the adapter is judged against, and the seeds of drawn answers."""

    against: str | None = None
    seeds: list[int] = field(default_factory=list)


@dataclass
class TrackingConfig:
    name: str = MISSING
    uri: str | None = None
    experiment: str = "ohlora"


@dataclass
class LaunchConfig:
    isolate: bool = True
    prefix: list[str] = field(default_factory=list)
    timeout_s: float | None = None
    threads: int | None = None
    warm: bool = False


@dataclass
class CompareConfig:
    """`arms`: two or more; each lists the overrides of one arm, separated by spaces, optionally named: `name: …`.

    The first arm is the baseline. `recommended` is a second, labelled track in the same form.
    """

    pairs: int = 4
    redo: int = 2
    arms: list[str] = field(default_factory=list)
    recommended: list[str] = field(default_factory=list)


@dataclass
class CurveConfig:
    """task=curve: the shares of the training rows, ascending, each trained with `seeds` seeds from `seed` on."""

    shares: list[float] = field(default_factory=lambda: [0.25, 0.5, 1.0])
    seeds: int = 4


@dataclass
class ReportConfig:
    lang: Lang = Lang.en


@dataclass
class Config:
    """The whole configuration of a run."""

    task: TaskConfig = MISSING
    backend: BackendConfig = MISSING
    model: ModelConfig = MISSING
    lora: LoraConfig = MISSING
    data: DataConfig = MISSING
    trainer: TrainerConfig = MISSING
    generation: GenerationConfig = MISSING
    decoding: DecodingConfig = field(default_factory=DecodingConfig)
    tracking: TrackingConfig = MISSING
    launch: LaunchConfig = field(default_factory=LaunchConfig)
    compare: CompareConfig = field(default_factory=CompareConfig)
    curve: CurveConfig = field(default_factory=CurveConfig)
    persona: PersonaConfig = field(default_factory=PersonaConfig)
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    report: ReportConfig = field(default_factory=ReportConfig)
    study: str = "runs"
    outputs: str = "outputs"
    models: str = "models"
    adapter: str | None = None
    device: str = "auto"
    device_memory_gib: float | None = None
    preflight: Preflight = Preflight.stop
    seed: int = 42
    arm: str | None = None
    repeat: int = 0


def register() -> None:
    """Register the schema under the name that `conf/config.yaml` uses, `schema`."""
    from hydra.core.config_store import ConfigStore

    ConfigStore.instance().store(name="schema", node=Config)
