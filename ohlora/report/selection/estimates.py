"""Estimated beside measured peak memory, and how far the estimate was off; fitted models are counted apart."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean

from ohlora.estimate.parts import FITTED_ON
from ohlora.report.comparison.headline import memory_key
from ohlora.report.markdown import markdown
from ohlora.report.selection.candidates import Candidate
from ohlora.report.selection.selection import ModelSelection
from ohlora.report.words.comparison import say


def describe_estimates(selection: ModelSelection) -> list[str]:
    """The table and what it says of the estimate, as paragraphs; nothing where no phase has both numbers."""
    lang, rows = selection.lang, []
    errors: dict[bool, list[float]] = {False: [], True: []}
    for one in selection.candidates:
        for phase, estimated, measured in _pairs(one):
            error = 100 * (estimated / measured - 1)
            errors[_is_fitted(one)].append(abs(error))
            cells = [say(lang, f"{phase} memory"), f"{estimated:,.0f} MiB", f"{measured:,.0f} MiB", f"{error:+.1f} %"]
            rows.append([selection.with_machine(one.model, one.machine), one.rank, *cells])
    if not rows:
        return []
    header = ["s.model", "s.rank", "phase", "estimated", "measured", "error"]
    texts = [say(lang, "s.estimates.before")]
    for fitted, code in ((False, "s.estimates.judged"), (True, "s.estimates.fitted")):
        found = errors[fitted]
        if found:
            figures = {"n": len(found), "worst": f"{max(found):.1f} %", "mean": f"{fmean(found):.1f} %"}
            texts.append(say(lang, code, **figures, models=", ".join(FITTED_ON["cpu"])))
    if not errors[False]:
        texts.append(say(lang, "s.estimates.unjudged"))
    return [markdown([say(lang, code) for code in header], rows), " ".join(texts)]


def _pairs(candidate: Candidate) -> Iterator[tuple[str, float, float]]:
    """(phase, estimated, measured) of every phase that has both."""
    for phase in ("infer", "train"):
        estimated, key = candidate.metrics.get(f"estimate/{phase}/peak_mib"), memory_key(candidate.metrics, phase)
        if estimated and key:
            yield phase, estimated, candidate.metrics[key]


def _is_fitted(candidate: Candidate) -> bool:
    """Were terms of the estimate fitted on runs of this model on this kind of device?"""
    runs = [trial for trial in candidate.trials if trial.run]
    return any(trial.model in FITTED_ON.get(str(trial.run and trial.run.device.get("type")), ()) for trial in runs)
