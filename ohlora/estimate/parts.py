"""Peak memory of each phase, part by part, from the shape of the model and the work. All sizes in MiB (2^20 bytes).

Activations are what autograd keeps of transformers' layers with a LoRA adapter; frozen weights need no gradients.
docs/estimate.md explains each term.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from ohlora.backends import Backend
from ohlora.config.choices import Attention, LoraMethod, Loss, Quantization, Speed
from ohlora.estimate.shape import Shape
from ohlora.estimate.work import Work

MIB = 2**20
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)  # 4 bits, an 8-bit scale per 64, a float32 scale of scales per 256
LOSS_CHUNK = 256  # rows per LM-head call in TRL's chunked_nll
CHUNK_LOGITS = 2**26  # logits of one call of the LM head with trainer.speed=fast: 256 tokens of Gemma's vocabulary
BLOCK_LOGITS = 2**20  # of these, in float32 at a time, in a workspace of two: fresh pages cost more than arithmetic
GPU_BLOCK_LOGITS = 2**24  # the same on a GPU, where small blocks are many launches
CHUNK_LOGIT_BYTES = 16  # per logit of the current chunk: logit, log-probability, probability, product; in float32
OPTIMIZER_BYTES = {"adamw_8bit": 2, "paged_adamw_8bit": 2, "sgd": 0, "adafactor": 4}  # per adapter weight; else AdamW

# Resident memory besides the model and the back end's libraries: TRL, and what oneDNN builds while computing.
TRAINER_MIB = 45.0
QUANTISED_MIB = 46.0  # bitsandbytes, imported for 4-bit weights only (ohlora.backends.imports)
# Freed temporaries that the C library's heap keeps, as a share of the activations, fitted on a CPU.
# Equal row lengths: from one forward pass, returned before large logits. Varied lengths: fragmented, never returned.
HEAP_SHARE, HEAP_SHARE_VARIED = 0.7, 1.0
# Device -> models on whose runs these shares and a part of the libraries were fitted (experiments/fit-estimate).
FITTED_ON = {"cpu": ("gemma3-270m", "smollm2-135m-instruct")}
TOKENIZER_BYTES = 1320  # per vocabulary entry of a loaded tokenizer
CUDA_CONTEXT_MIB = 450.0  # used by the driver besides torch's allocator; 250 to 600, depending on the GPU


@dataclass(frozen=True)
class Settings:
    """The settings that the estimate depends on, besides shape and work."""

    backend: type[Backend]
    device: str
    dtype: str
    quantization: Quantization
    attention: Attention
    method: LoraMethod
    rank: int
    targets: tuple[str, ...]
    loss: Loss
    checkpointing: str
    optimizer: str
    speed: Speed = Speed.plain


Parts = dict[str, float]


def phases(shape: Shape, work: Work, settings: Settings) -> dict[str, Parts]:
    """'infer' and 'train' -> part -> MiB; 'train' only if there is an adapter to train."""
    found = {"infer": _infer(shape, work, settings)}
    if settings.method is not LoraMethod.none:
        found["train"] = _train(shape, work, settings)
    return found


def sum_parts(parts: Parts) -> float:
    """The sum of the parts, comparable with the measured peak: on a GPU without the driver's context."""
    return sum(size for name, size in parts.items() if name != "cuda_context")


def _infer(shape: Shape, work: Work, settings: Settings) -> Parts:
    size = BYTES[settings.dtype]
    at_once = work.prompts_at_once
    cache = 0 if shape.recurrent else 2 * shape.layers * shape.kv_heads * shape.head_dim * (work.prompt + work.answer)
    widest = max(3 * shape.intermediate, shape.heads * work.prompt if settings.attention is Attention.eager else 0)
    return {
        **_fixed(shape, settings),
        "kv_cache": at_once * cache * size / MIB,
        "activations": at_once * work.prompt * (widest + 4 * shape.hidden) * size / MIB,
        "logits": at_once * shape.vocab * (size + 4 + 4) / MIB,
    }


def _train(shape: Shape, work: Work, settings: Settings) -> Parts:
    adapter = adapter_parameters(shape, settings)
    parts = {
        **_fixed(shape, settings),
        "adapter": 4 * adapter / MIB,
        "gradients": 4 * adapter / MIB,
        "optimizer": _optimizer_bytes(settings) * adapter / MIB,
        "activations": _activations(shape, work, settings) / MIB,
        "logits": _logits(shape, work, settings) / MIB,
    }
    if settings.device == "cpu":
        parts["libraries"] += TRAINER_MIB
        one_length = max(HEAP_SHARE * parts["activations"] - parts["logits"], 0.0)
        parts["heap"] = HEAP_SHARE_VARIED * parts["activations"] if work.is_varied else one_length
    return parts


def _fixed(shape: Shape, settings: Settings) -> Parts:
    """The constant part: weights, and the process before it loads them."""
    size = BYTES[settings.dtype]
    packed = shape.layer_matrices if settings.quantization is Quantization.nf4 else 0
    parts = {"weights": ((shape.parameters - packed) * size + packed * NF4_BYTES) / MIB}
    if settings.device == "cpu":
        parts["libraries"] = settings.backend.libraries_mib + (QUANTISED_MIB if packed else 0.0)
        parts["tokenizer"] = shape.vocab * TOKENIZER_BYTES / MIB
    else:
        parts["cuda_context"] = CUDA_CONTEXT_MIB
    return parts


def _optimizer_bytes(settings: Settings) -> int:
    """Per adapter weight. On a CPU PyTorch's own AdamW replaces the 8-bit one."""
    name = settings.optimizer
    return 8 if settings.device == "cpu" and "8bit" in name else OPTIMIZER_BYTES.get(name, 8)


def adapter_parameters(shape: Shape, settings: Settings) -> int:
    """The adapter's weights: both factors of every target, and DoRA's magnitudes."""
    targeted = shape.targeted(list(settings.targets))
    per_layer = sum(settings.rank * (m.inputs + m.outputs) for m in targeted)
    if settings.method is LoraMethod.dora:
        per_layer += sum(m.outputs for m in targeted)
    return shape.layers * per_layer


def _activations(shape: Shape, work: Work, settings: Settings) -> float:
    """Bytes that autograd keeps for the backward pass of the largest batch."""
    size = BYTES[settings.dtype]
    layer = work.positions * kept_per_token(shape, settings) + kept_per_layer(shape, work, settings)
    if settings.checkpointing == "none":
        return shape.layers * layer
    kept = 0 if settings.checkpointing in settings.backend.offloading and settings.device != "cpu" else shape.layers
    return layer + kept * work.positions * shape.hidden * size


def kept_per_token(shape: Shape, settings: Settings) -> float:
    """Bytes per position and layer."""
    size, mixed = BYTES[settings.dtype], settings.dtype != "float32"
    query, kv = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    norms = 4 * shape.norms * shape.hidden  # each keeps its input in float32
    if shape.query_key_norm:
        norms += 4 * (query + kv)
    # RWKV keeps the state of every step in float32; others query, key, value (grouped heads repeated), output.
    attention = (56 + (size - 2) * 13) * shape.hidden if shape.recurrent else size * 4 * query
    mlp = size * (3 if shape.gated else 1) * shape.intermediate
    targeted = shape.targeted(list(settings.targets))
    if mixed and (
        settings.speed is Speed.plain or settings.method is LoraMethod.dora
    ):  # every LoRA layer casts its own input
        inputs = 2 * sum(m.inputs for m in targeted)
    else:  # the outputs of both norms and of the activation; GPT-NeoX also copies around its attention
        inputs = size * ((2 if shape.gated else 4) * shape.hidden + max((m.inputs for m in targeted), default=0))
    ranks = size * 2 * settings.rank * len(targeted)
    if settings.method is LoraMethod.dora:
        ranks += size * 2 * sum(m.outputs for m in targeted)  # base and LoRA results, for the magnitudes
    return float(norms + attention + mlp + inputs + ranks)


def kept_per_layer(shape: Shape, work: Work, settings: Settings) -> float:
    """Bytes per layer that are not proportional to positions: eager attention's weights (softmax in float32, cast,
    capped), and the identity matrices that PEFT sends through a DoRA layer to compute its weights' norms.
    """
    size, kept = BYTES[settings.dtype], 0.0
    if settings.attention is Attention.eager and not shape.recurrent:
        kept += work.batch * shape.heads * work.row**2 * (4 + size + (size if shape.softcap else 0))
    if settings.method is LoraMethod.dora:
        kept += size * sum(m.inputs**2 for m in shape.targeted(list(settings.targets)))
    return kept


def _logits(shape: Shape, work: Work, settings: Settings) -> float:
    """Bytes at the loss: one chunk of rows plus what TRL's entropy keeps of earlier chunks, or all rows."""
    size, rows = BYTES[settings.dtype], work.batch * max(work.row - 1, 1)
    if settings.speed is Speed.fast:
        block = BLOCK_LOGITS if settings.device == "cpu" else GPU_BLOCK_LOGITS
        chunk = min(work.batch * work.loss_row, max(1, CHUNK_LOGITS // shape.vocab))
        return float(chunk * shape.vocab * size + 2 * 4 * max(block, shape.vocab))
    if settings.loss is Loss.nll:
        return float(rows * shape.vocab * (size + 12))
    chunks = ceil(work.batch * work.loss_row / LOSS_CHUNK)
    kept = size * LOSS_CHUNK * max(chunks - 1, 0)
    return float(shape.vocab * (min(rows, LOSS_CHUNK) * CHUNK_LOGIT_BYTES + kept))
