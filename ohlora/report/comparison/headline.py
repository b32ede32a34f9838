"""Which four metrics are the headline, and what difference is too small to be measured."""

from __future__ import annotations

from collections.abc import Container

# The columns of the user's table: a phase, and what is measured in it.
COLUMNS = (("infer", "memory"), ("infer", "time"), ("train", "memory"), ("train", "time"))
RESOLUTION_TIME = 0.001  # relative: the error of one measurement; no smaller spread is believed
RESOLUTION_QUALITY = 0.005  # relative
RESOLUTION_MIB = 8.0  # the error that memory is measured with: a smaller difference is none


def column_key(metrics: Container[str], phase: str, what: str) -> str | None:
    """The metric in a column, None if it was not measured. Memory is what a GPU allocated, else resident memory."""
    names = ("peak_vram_mib", "peak_rss_mib") if what == "memory" else (f"{phase}_time_s",)
    return next((f"{phase}/{name}" for name in names if f"{phase}/{name}" in metrics), None)
