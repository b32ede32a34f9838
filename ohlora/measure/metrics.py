"""The declaration of every metric: its kind, its unit, whether arms are compared by it.

To add one: a line here, `job.metric(key, value)` in a task, a line in docs/result.md (a test checks that both match).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ohlora.records.judgement import RULES

Kind = Literal["time", "memory", "throughput", "quality", "count", "share"]


@dataclass(frozen=True)
class Metric:
    """`compared`: False for numbers that describe the work or the machine, which are not better or worse."""

    kind: Kind
    unit: str = ""
    compared: bool = True


# Processes; all but the first record their load under `<process>_load/`.
LOADS = ("infer", "train", "answer", "judge_first", "judge_second")
PHASES = ("load", "infer", "train", "eval", "answer", "judge_first", "judge_second")

_SECONDS, _MIB = Metric("time", "s"), Metric("memory", "MiB")
_COUNT, _SHARE = Metric("count", compared=False), Metric("quality", "0–1")
_TOKENS_PER_S, _LOSS = Metric("throughput", "tokens/s"), Metric("quality", "nats/token")
_PEAKS = ("peak_vram_mib", "peak_vram_reserved_mib", "peak_vram_device_mib", "peak_rss_mib", "peak_rss_anon_mib")

METRICS: dict[str, Metric] = {
    "load/import_s": _SECONDS,
    "load/weights_s": _SECONDS,
    "load/load_s": _SECONDS,
    "infer/infer_first_s": _SECONDS,
    "infer/infer_warmup_s": _SECONDS,
    "infer/infer_time_s": _SECONDS,
    "infer/infer_tokens_per_s": _TOKENS_PER_S,
    "infer/infer_ttft_ms": Metric("time", "ms"),
    "infer/infer_decode_tokens_per_s": _TOKENS_PER_S,
    "infer/prompts": _COUNT,
    "infer/generated_tokens": _COUNT,
    "train/train_time_s": _SECONDS,
    "train/train_warm_time_s": _SECONDS,
    "train/train_warm_step_s": _SECONDS,
    "train/train_first_step_s": _SECONDS,
    "train/train_compile_s": _SECONDS,
    "train/train_tokens_per_s": _TOKENS_PER_S,
    "train/train_loss_tokens_per_s": _TOKENS_PER_S,
    "train/train_positions_per_s": Metric("throughput", "positions/s"),
    "train/train_tflop": Metric("count", "10^12 FLOPs", compared=False),
    "train/matmul_peak_gflops": Metric("throughput", "10^9 FLOP/s", compared=False),
    "train/train_mfu": Metric("throughput", "0–1"),
    "train/nonfinite_steps": _COUNT,
    "train/skipped_steps": _COUNT,
    "train/padding_ratio": Metric("share", "0–1", compared=False),
    "train/train_steps": _COUNT,
    "train/train_rows": _COUNT,
    "train/train_tokens": _COUNT,
    "train/train_loss": _LOSS,
    "train/best_step": _COUNT,
    "train/stopped_early": _COUNT,
    "eval/eval_loss": _LOSS,
    "eval/eval_bits_per_char": Metric("quality", "bits"),
    "quality/answers": _COUNT,
    "quality/chrf": Metric("quality", "0–100"),
    "quality/usable_chrf": Metric("quality", "0–100"),
    "quality/empty_share": _SHARE,
    "quality/repeated_share": _SHARE,
    "quality/wrong_language_share": _SHARE,
    "quality/never_ending_share": _SHARE,
    "quality/usable_share": _SHARE,
    "quality/distinct_1": _SHARE,
    "quality/distinct_2": _SHARE,
    **{f"judge/{side}/{rule}": _SHARE for side in ("first", "second") for rule in RULES},
    "estimate/infer/peak_mib": Metric("memory", "MiB", compared=False),
    "estimate/train/peak_mib": Metric("memory", "MiB", compared=False),
    **{f"{phase}/{peak}": _MIB for phase in PHASES for peak in _PEAKS},
    **{f"{process}/process_peak_rss_mib": _MIB for process in LOADS},
}

# One value per step or prompt, in metrics.jsonl and MLflow; `eval/eval_loss` has both.
CURVES: dict[str, Metric] = {
    "train/loss": _LOSS,
    "train/grad_norm": Metric("quality", compared=False),
    "train/lr": Metric("quality", compared=False),
    "train/step_s": _SECONDS,
    "infer/prompt_s": _SECONDS,
    "eval/eval_loss": _LOSS,
}


def metric_of(key: str) -> Metric | None:
    """A metric's declaration; None for a key that this version does not know."""
    phase, _, name = key.partition("/")
    return METRICS.get(f"load/{name}" if phase.removesuffix("_load") in LOADS and phase.endswith("_load") else key)


def require_declared(key: str, curve: bool = False) -> None:
    """Raise LookupError for a key that is not declared here."""
    if (CURVES.get(key) if curve else metric_of(key)) is None:
        raise LookupError(
            f"{key}: not a declared {'curve' if curve else 'metric'}; add it to ohlora/measure/metrics.py"
        )
