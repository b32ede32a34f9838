"""The keys of `conf/` that choose one of a few words: one Enum each."""

from __future__ import annotations

from enum import Enum


class Dtype(Enum):
    """Precision of the frozen weights. `auto`: the fastest that the device supports in hardware."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class Quantization(Enum):
    """`nf4` is 4-bit NormalFloat with double quantisation (QLoRA)."""

    none = "none"
    nf4 = "nf4"


class Attention(Enum):
    auto = "auto"
    eager = "eager"
    sdpa = "sdpa"


class Source(Enum):
    """Where the weights come from."""

    embedded = "embedded"
    hub = "hub"
    local = "local"


class Weights(Enum):
    """`safetensors`, or `bin`: pickled weights, read with `weights_only=True` and rewritten as safetensors."""

    safetensors = "safetensors"
    bin = "bin"


class Preflight(Enum):
    """If the estimate does not fit: `stop` refuses the run, `warn` prints a warning, `off` skips the estimate."""

    stop = "stop"
    warn = "warn"
    off = "off"


class LoraMethod(Enum):
    """`dora` learns a magnitude per output too; `rslora` scales by α/√r, not α/r; `none`: no adapter."""

    lora = "lora"
    dora = "dora"
    rslora = "rslora"
    none = "none"


class PromptFormat(Enum):
    """`chat`: the tokenizer's own chat template. `plain`: `model.prompt_template`. `auto`: chat where there is one."""

    auto = "auto"
    chat = "chat"
    plain = "plain"


class Loss(Enum):
    """TRL's loss. It selects the code path; `chunked_nll` is TRL's default, `nll` materialises all logits."""

    chunked_nll = "chunked_nll"
    nll = "nll"


class Speed(Enum):
    """`plain`: TRL's SFTTrainer. `fast`: the same updates with less work for each (docs/speed.md)."""

    plain = "plain"
    fast = "fast"


class Keep(Enum):
    """The adapter that training saves: that of the `last` step, or that of the `best` (lowest) eval loss."""

    last = "last"
    best = "best"


class Fault(Enum):
    """What is wrong with an answer, as `ohlora/generation/faults.py` finds it."""

    empty = "empty"
    wrong_language = "wrong_language"
    repeated = "repeated"
    cut_off = "cut_off"


class Lang(Enum):
    en = "en"
    ko = "ko"


class Schedule(Enum):
    linear = "linear"
    cosine = "cosine"
    constant = "constant"


class Split(Enum):
    train = "train"
    validation = "validation"
    test = "test"


class Separator(Enum):
    """What stands between the cells of a table; as words, so that a shell can give them."""

    auto = "auto"
    comma = "comma"
    tab = "tab"
    semicolon = "semicolon"
    pipe = "pipe"


class TrainOn(Enum):
    """The assistant turns of a conversation that carry loss."""

    all = "all"
    last = "last"


class Overlong(Enum):
    """A row longer than `trainer.max_length`: `cut` keeps its end-of-answer token, `drop` leaves it out, `error`."""

    cut = "cut"
    drop = "drop"
    error = "error"


class SpeechLevel(Enum):
    """How a persona speaks Korean: 해요체, 합니다체 or 반말."""

    haeyo = "haeyo"
    formal = "formal"
    banmal = "banmal"
