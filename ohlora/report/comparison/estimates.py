"""What was estimated before a run beside what was measured in it, phase by phase."""

from __future__ import annotations

from collections.abc import Iterator

from ohlora.report.comparison.headline import memory_key
from ohlora.report.words.comparison import say


def estimate_rows(metrics: dict[str, float], lang: str) -> Iterator[list[str]]:
    """[phase, estimated, measured, error] of every phase that has both."""
    for key, estimated in metrics.items():
        parts = key.split("/")
        if parts[0] != "estimate" or parts[-1] != "peak_mib":
            continue
        found = memory_key(metrics, parts[1])
        if found:
            measured, error = metrics[found], f"{100 * (estimated / metrics[found] - 1):+.1f} %"
            yield [say(lang, f"{parts[1]} memory"), f"{estimated:,.0f} MiB", f"{measured:,.0f} MiB", error]
