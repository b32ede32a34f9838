"""Which four metrics are the headline, and what difference is too small to be measured."""

from __future__ import annotations

# The memory of a phase: what a GPU allocated where there is one, else what was resident.
MEMORY = ("peak_vram_mib", "peak_rss_mib")
# The columns of the user's table.
HEADLINE = ("infer memory", "infer/infer_time_s", "train memory", "train/train_time_s")
# What a run was given to do: it must be equal.
WORK = ("infer/prompts", "infer/generated_tokens", "train/train_steps", "train/train_tokens", "train/padding_ratio")
RESOLUTION_QUALITY = 0.005  # relative
RESOLUTION_MIB = 8.0  # the error that memory is measured with: a smaller difference is none


def memory_key(metrics: dict[str, float], phase: str) -> str | None:
    """The metric that stands for a phase's memory; None where none was measured."""
    return next((f"{phase}/{key}" for key in MEMORY if f"{phase}/{key}" in metrics), None)
