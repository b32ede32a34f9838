"""Figures as texts, in tables, sentences and plots."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ohlora.records.result import Result
from ohlora.report.comparison.comparison import Comparison, Track
from ohlora.report.comparison.contrast import Contrast, Figure
from ohlora.report.comparison.equality import Check
from ohlora.report.comparison.headline import column_key
from ohlora.report.markdown import NO_VALUE
from ohlora.report.words.comparison import say

TOLD_BY_STEP = ("batches", "losses", "grad_norms", "scaler")  # checks whose detail names steps


@dataclass(frozen=True)
class HeadlineLine:
    """A headline figure of a contrast, each part of it as the text that every kind of report shows.

    `change`: '-12.3 %', by how much the other arm's figure differs from the baseline's; '—' of one pair.
    `pairs`: '3', or '3, 1 disturbed and left out'. `verdict`: of quality by one seed, with why there is none.
    """

    track: Track
    contrast: Contrast
    figure: Figure
    arm: str
    baseline: str
    metric: str
    change: str
    pairs: str
    verdict: str


def list_headline(comparison: Comparison, lang: str) -> Iterator[HeadlineLine]:
    """Every headline figure of every contrast."""
    for track, one in comparison.contrasts:
        sides, count = (track.label(one.other), track.label(one.baseline)), str(len(one.pairs))
        pairs = say(lang, "pairs_of", pairs=count, left_out=len(one.left_out)) if one.left_out else count
        for figure in one.headline():
            ratio, metric = figure.paired.ratio, figure_name(figure, lang)
            change = NO_VALUE if figure.paired.pairs == 1 else f"{100 * (ratio - 1):+.1f} %"
            yield HeadlineLine(track, one, figure, *sides, metric, change, pairs, verdict_text(figure, lang))


def figure_name(figure: Figure, lang: str) -> str:
    """'fine-tuning memory'; of a metric outside the user's table its key."""
    return say(lang, " ".join(figure.column)) if figure.column else figure.key


def verdict_text(figure: Figure, lang: str) -> str:
    """The verdict; of quality by one seed, why there is none (other reasons are a note on the whole comparison)."""
    verdict = say(lang, figure.verdict)
    return f"{verdict} ({say(lang, 'one_seed')})" if figure.why == "one_seed" else verdict


def interval_text(figure: Figure) -> str:
    interval = figure.paired.interval
    return NO_VALUE if interval is None else f"{interval[0]:.3f} – {interval[1]:.3f}"


def detail_text(check: Check, lang: str) -> str:
    """What a check found; its numbers and names are the same in every language."""
    if check.code not in TOLD_BY_STEP:
        return check.detail
    return re.sub(r"\bstep( 0 alone)?\b", lambda found: say(lang, f"detail.{found[0]}"), check.detail)


def value_text(key: str, value: float) -> str:
    """'2,296 MiB' or '60.4 s'."""
    return f"{value:,.0f} MiB" if key.endswith("_mib") else seconds_text(value)


def seconds_text(value: float) -> str:
    """Enough digits to recompute a percentage from it."""
    return f"{value:.{1 if value >= 10 else 2}f} s"


def memory_text(metrics: dict[str, float], phase: str) -> str:
    """'2,296 MiB' on a GPU, '2,296 MiB RSS' (resident memory) without one."""
    key = column_key(metrics, phase, "memory")
    return NO_VALUE if key is None else f"{metrics[key]:,.0f} MiB{'' if 'vram' in key else ' RSS'}"


def describe_work(run: Result | None, lang: str, code: str, **more: object) -> str:
    """The sentence on the work of a benchmark, '' if it is not recorded; `more`: further values of the sentence."""
    trainer, generation = (run.requested.get(key) or {} if run else {} for key in ("trainer", "generation"))
    if run is None or not {"epochs", "batch_size"} <= set(trainer):
        return ""
    steps = trainer.get("max_steps")
    return say(
        lang,
        code,
        prompts=f"{run.metrics.get('infer/prompts', generation.get('prompts') or 0):g}",
        new=generation.get("max_new_tokens", NO_VALUE),
        rows=trainer.get("train_rows") or NO_VALUE,
        eval_rows=trainer.get("eval_rows") or NO_VALUE,
        length=say(lang, "steps", n=steps) if steps else say(lang, "epochs", n=f"{trainer['epochs']:g}"),
        batch=trainer["batch_size"],
        **more,
    )
