"""Estimated beside measured peak memory, and how far the estimate was off; fitted models are counted apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean

from ohlora.estimate.parts import FITTED_ON
from ohlora.records.result import Result
from ohlora.report.comparison.headline import column_key
from ohlora.report.markdown import table
from ohlora.report.words.comparison import say

Measured = tuple[list[str], dict[str, float], Sequence[Result]]  # cells with its name, its medians, its runs


def describe_estimates(header: Sequence[str], measured: Iterable[Measured], lang: str) -> list[str]:
    """The table and the error of the estimate, as paragraphs; nothing if no phase has both numbers.

    `header` are the codes of the naming cells.
    """
    rows: list[list[str]] = []
    errors: dict[bool, list[float]] = {False: [], True: []}
    for names, metrics, runs in measured:
        for phase, estimated, found in _pair_phases(metrics):
            error = 100 * (estimated / found - 1)
            errors[_is_fitted(runs)].append(abs(error))
            cells = [say(lang, f"{phase} memory"), f"{estimated:,.0f} MiB", f"{found:,.0f} MiB", f"{error:+.1f} %"]
            rows.append([*names, *cells])
    if not rows:
        return []
    texts = [say(lang, "estimates.before")]
    for fitted, code in ((False, "estimates.judged"), (True, "estimates.fitted")):
        if errors[fitted]:
            worst, mean = f"{max(errors[fitted]):.1f} %", f"{fmean(errors[fitted]):.1f} %"
            models = ", ".join(FITTED_ON["cpu"])
            texts.append(say(lang, code, n=len(errors[fitted]), worst=worst, mean=mean, models=models))
    texts += [] if errors[False] else [say(lang, "estimates.unjudged")]
    return [table(lang, [*header, "phase", "estimated", "measured", "error"], rows), " ".join(texts)]


def _pair_phases(metrics: dict[str, float]) -> Iterator[tuple[str, float, float]]:
    """(phase, estimated, measured) of every phase that has both."""
    for phase in ("infer", "train"):
        estimated, key = metrics.get(f"estimate/{phase}/peak_mib"), column_key(metrics, phase, "memory")
        if estimated and key:
            yield phase, estimated, metrics[key]


def _is_fitted(runs: Sequence[Result]) -> bool:
    """Were terms of the estimate fitted on runs of this model on this kind of device?"""
    return any(run.model.get("name") in FITTED_ON.get(str(run.device.get("type")), ()) for run in runs)
