"""A forest plot: what each metric became, other ÷ baseline, with its interval and its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

from ohlora.report.plots.svg import INK, LINE, QUIET, drawing, fold, svg_text
from ohlora.report.words.comparison import say

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# By verdict: a colour that is distinct for colour-blind readers, and a marker that needs no colour.
LOOKS = {"better": ("#2f86d1", "o"), "worse": ("#d2601a", "D"), "none": (QUIET, "s"), "void": (QUIET, "x")}
FARTHEST = (1e-4, 1e4)  # ticks reach so far


@dataclass(frozen=True)
class RatioRow:
    """One metric; no interval with too few pairs. The caller chooses `colour`: less is not always better."""

    label: str
    ratio: float
    low: float | None
    high: float | None
    verdict: str
    colour: Literal["better", "worse", "none", "void"]


def ratio_intervals(rows: Sequence[RatioRow], lang: str = "en", remarks: Sequence[str] = ()) -> str:
    """Point and interval per metric around the line of no change; the metric left of it, numbers and verdict right.

    `remarks` stand under the axis, a line each.
    """
    hollow = any(_hollow(row) and isfinite(row.ratio) and row.colour != "void" for row in rows)
    below = [say(lang, "plot.ratio"), *([say(lang, "plot.hollow")] if hollow else [])]
    below += [fold(text, 90) for text in remarks]
    names = [fold(row.label, 26) for row in rows]
    numbers = [f"{_number(row)}\n{fold(row.verdict, 30, lines=2)}" for row in rows]
    pitch = 14 + LINE * max(text.count("\n") + 1 for text in [*names, *numbers, "\n"])
    with drawing(80 + LINE * "\n".join(below).count("\n") + pitch * max(len(rows), 1)) as figure:
        axes = figure.subplots()
        axes.grid(visible=False)
        axes.spines["left"].set_visible(False)
        axes.set(xscale="log", ylim=(max(len(rows), 1) - 0.5, -0.5))
        axes.set_yticks(range(len(rows)), names)
        right = axes.secondary_yaxis("right")
        right.spines["right"].set_visible(False)
        right.set_yticks(range(len(rows)), numbers)
        for side in (axes, right):
            side.tick_params(axis="y", length=0, pad=10, labelsize=12)
        values = [value for row in rows for value in (row.ratio, row.low, row.high) if value is not None]
        ticks = ratio_ticks([value for value in values if isfinite(value) and value > 0])
        axes.set_xticks(ticks, [f"{tick:g}×" for tick in ticks])
        axes.set_xticks([], minor=True)
        pad = (ticks[-1] / ticks[0]) ** 0.04
        axes.set_xlim(ticks[0] / pad, ticks[-1] * pad)
        axes.axvline(1, color=INK, linewidth=1.2, alpha=0.7, gid="no-change")
        for i, (row, text) in enumerate(zip(rows, right.get_yticklabels(), strict=True)):
            _interval(axes, i, row)
            text.set_color(LOOKS[row.colour][0] if row.colour in ("better", "worse") else INK)
        axes.set_title(say(lang, "interval") if rows else "", x=1, ha="left")
        axes.set_xlabel("\n".join(below))
        if not rows:
            axes.text(0.55, 0.5, say(lang, "plot.nothing"), transform=axes.transAxes, va="center")
        return svg_text(figure, say(lang, "plot.ratio_title"))


def ratio_ticks(values: Sequence[float]) -> list[float]:
    """Few round ratios, 1 among them, that reach from the least value to the greatest, if those are not absurd."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    low, high = max(min([*values, 0.95]), FARTHEST[0]), min(max([*values, 1.05]), FARTHEST[1])
    ticks = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    if high / low > 4 or ticks[0] <= 0:
        decades = LogLocator(subs=(1, 2, 5) if high / low < 200 else (1,), numticks=12)
        ticks = decades.tick_values(low / 10, high * 10)
    found = [float(f"{tick:.9g}") for tick in ticks]
    first, last = max(tick for tick in found if tick <= low), min(tick for tick in found if tick >= high)
    return [tick for tick in found if first <= tick <= last]


def _interval(axes: Axes, y: int, row: RatioRow) -> None:
    colour, marker = LOOKS[row.colour]
    look: dict[str, Any] = {"color": colour, "linewidth": 3, "solid_capstyle": "butt"}
    if row.low is not None and row.high is not None:
        axes.plot([row.low, row.high], [y, y], ":" if row.colour == "void" else "-", gid=f"interval-{y}", **look)
    if isfinite(row.ratio) and row.ratio > 0:
        face = "none" if _hollow(row) else colour
        look = {"markersize": 9, "markeredgewidth": 2, "markeredgecolor": colour, "markerfacecolor": face}
        axes.plot([row.ratio], [y], marker, gid=f"ratio-{y}", **look)


def _hollow(row: RatioRow) -> bool:
    return row.low is None or row.high is None


def _number(row: RatioRow) -> str:
    low, ratio, high = ("—" if x is None or not isfinite(x) else _digits(x) for x in (row.low, row.ratio, row.high))
    return (ratio if ratio == "—" else f"{ratio}×") + ("" if _hollow(row) else f" ({low}–{high})")


def _digits(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.3g}" if abs(value) < 1000 else f"{value:.1e}"
