"""A forest plot: what each metric became, other ÷ baseline, with its interval and its verdict."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, isfinite
from typing import TYPE_CHECKING, Any, Literal

from ohlora.report.plots.svg import INK, LINE, clean, panel, sheet, svg_text, wrapped
from ohlora.report.words.plots import ENGLISH, PlotWords

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# By verdict: a colour that colour-blind readers tell apart, and a marker that says the same without it.
LOOKS = {"better": ("#2f86d1", "o"), "worse": ("#d2601a", "D"), "none": ("#7d8590", "s"), "void": ("#7d8590", "x")}
LEFT, RIGHT = 184, 474  # of the axis; labels stand left of it, numbers and verdicts right
TOP = 30
DECADES = (0.001, 0.01, 0.1, 1, 10, 100, 1000)
SERIES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


@dataclass(frozen=True)
class RatioRow:
    """One metric. No interval: too few pairs. `colour` is the caller's: less is not better for all metrics."""

    label: str
    ratio: float
    low: float | None
    high: float | None
    verdict: str
    colour: Literal["better", "worse", "none", "void"]


def ratio_intervals(rows: list[RatioRow], words: PlotWords = ENGLISH) -> str:
    """Point and interval per metric around the line of no change."""
    hollow = (
        [words.hollow] if any(_hollow(row) and isfinite(row.ratio) and row.colour != "void" for row in rows) else []
    )
    labels = [wrapped(row.label, LEFT - 16) for row in rows]
    verdicts = [wrapped(row.verdict, 124, 12.5) for row in rows]
    pitch = 12 + LINE * max(map(len, [*labels, *verdicts, ["", ""]]))
    bottom = TOP + pitch * max(len(rows), 1)
    with sheet(bottom + 46 + LINE * len(hollow)) as ground:
        axes = panel(ground, LEFT, TOP, RIGHT - LEFT, bottom - TOP)
        axes.grid(visible=False)
        axes.spines["left"].set_visible(False)
        axes.set(xscale="log", ylim=(max(len(rows), 1) - 0.5, -0.5), yticks=[])
        values = [value for row in rows for value in (row.ratio, row.low, row.high) if value is not None]
        ticks = ratio_ticks([value for value in values if isfinite(value) and value > 0])
        axes.set_xticks(ticks, [f"{tick:g}×" for tick in ticks])
        axes.set_xticks([], minor=True)
        pad = (ticks[-1] / ticks[0]) ** 0.04
        axes.set_xlim(ticks[0] / pad, ticks[-1] * pad)
        axes.axvline(1, color=INK, linewidth=1.2, alpha=0.7, gid="no-change")
        for i, row in enumerate(rows):
            _interval(axes, i, row)
            y = TOP + pitch * (i + 0.5)
            _column(ground, 2, y, labels[i])
            _column(ground, RIGHT + 12, y, _number(row))
            _column(ground, RIGHT + 118, y, verdicts[i], LOOKS[row.colour][0])
        quiet: dict[str, Any] = {"va": "center", "alpha": 0.75}
        middle = (LEFT + RIGHT) / 2
        ground.text(RIGHT + 12, 12, words.interval, **quiet)
        ground.text(middle, bottom + 33, words.ratio, ha="center", **quiet)
        for line in hollow:
            ground.text(middle, bottom + 33 + LINE, line, ha="center", **quiet)
        if not rows:
            ground.text(middle + 12, TOP + pitch / 2, words.nothing, **quiet)
        return svg_text(ground, words.ratio_title)


def ratio_ticks(values: list[float]) -> list[float]:
    """Few round ratios, 1 among them, that reach from the least value to the greatest."""
    low, high = min([*values, 0.95]), max([*values, 1.05])
    for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5):
        first, last = floor((low - 1) / step + 1e-9), ceil((high - 1) / step - 1e-9)
        if high / low <= 4 and last - first <= 5 and 1 + first * step > 0:
            return [round(1 + step * i, 2) for i in range(first, last + 1)]
    series = SERIES if high / low < 200 else DECADES
    below = max((tick for tick in series if tick <= low), default=series[0])
    above = min((tick for tick in series if tick >= high), default=series[-1])
    return [tick for tick in series if below <= tick <= above]


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


def _number(row: RatioRow) -> list[str]:
    low, ratio, high = ("—" if x is None or not isfinite(x) else _digits(x) for x in (row.low, row.ratio, row.high))
    return [ratio if ratio == "—" else f"{ratio}×", *([] if _hollow(row) else [f"({low}–{high})"])]


def _digits(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.3g}" if abs(value) < 1000 else f"{value:.1e}"


def _column(ground: Axes, x: float, y: float, lines: list[str], colour: str | None = None) -> None:
    """Lines of text around the middle of a row; with a colour they are the verdict."""
    for i, line in enumerate(lines):
        weight = "bold" if colour else "normal"
        ground.text(
            x, y + LINE * (i - (len(lines) - 1) / 2), clean(line), va="center", color=colour or INK, weight=weight
        )
