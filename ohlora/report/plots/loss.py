"""Loss by optimizer step: a line per arm, and no arm hidden behind another that has the same losses."""

from __future__ import annotations

from math import isfinite, nan
from typing import TYPE_CHECKING, Any

from ohlora.report.plots.svg import COLOURS, LINE, MARKERS, drawing, fold, svg_text
from ohlora.report.words.comparison import say

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Line = list[tuple[int, float]]  # (optimizer step, loss)
HEIGHT = 330


def loss_curves(curves: dict[str, Line], evals: dict[str, Line], lang: str = "en") -> str:
    """Training loss as lines, evaluation loss as markers, by arm; the earlier an arm, the wider it is drawn."""
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    names = {arm: fold(arm, 90) for arm in [*curves, *evals]}
    values = [value for lines in (curves, evals) for line in lines.values() for _, value in line]
    remarks = _remarks(curves, values, lang)
    rows = sum(name.count("\n") + 1 for name in names.values()) + len(remarks)
    with drawing(HEIGHT + LINE * rows) as figure:
        axes = figure.subplots()
        axes.set_title(say(lang, "plot.loss"))
        axes.set_xlabel(say(lang, "plot.step"), loc="right")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        key = []
        for i, arm in enumerate(names):
            line, marker = _looks(i, len(names))
            _curve(axes, curves.get(arm, []), evals.get(arm, []), line, f"loss-{i}")
            seen = [(step, value) for step, value in evals.get(arm, []) if isfinite(value)]
            if seen:
                axes.plot([s for s, _ in seen], [v for _, v in seen], gid=f"eval-{i}", clip_on=False, **marker)
            key.append(Line2D([], [], **{**line, **marker, "linestyle": line.get("linestyle", "-")} if seen else line))
        if not any(map(isfinite, values)):
            axes.set(yticks=[])  # no scale without points
        blank = Line2D([], [], linestyle="")
        labels = [*names.values(), *remarks]
        figure.legend([*key, *[blank] * len(remarks)], labels, loc="outside upper left", handlelength=3)
        return svg_text(figure, say(lang, "plot.loss_title"))


def _remarks(curves: dict[str, Line], values: list[float], lang: str) -> list[str]:
    drawn = [repr(line) for line in curves.values() if line]
    same = [say(lang, "plot.coincide")] if len(set(drawn)) < len(drawn) else []
    broken = [] if all(map(isfinite, values)) else [say(lang, "plot.not_finite")]
    return [say(lang, "plot.loss_key") if values else say(lang, "plot.nothing"), *same, *broken]


def _looks(i: int, count: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The line and the marker of arm `i`: wide, pale and large at first, thin, dashed and small at last."""
    below = count - 1 - i  # how many are drawn above it
    colour = {"color": COLOURS[i % len(COLOURS)]}
    line: dict[str, Any] = {"linewidth": min(1.8 + 3.8 * below, 10)}
    if below:
        line |= {"alpha": 0.4, "solid_capstyle": "round"}
    elif count > 1:
        line |= {"linestyle": (0, (4, 2.5)), "dash_capstyle": "butt"}
    marker = {"marker": MARKERS[i % len(MARKERS)], "markersize": 6 + min(5 * below, 15), "markeredgewidth": 1.8}
    return colour | line, colour | marker | {"linestyle": "", "markerfacecolor": "none"}


def _curve(axes: Axes, line: Line, evals: Line, look: dict[str, Any], gid: str) -> None:
    """The line with its gaps; a point alone between gaps as a dot, what is not finite as a cross on the step axis."""
    there = [False, *(isfinite(value) for _, value in line), False]
    alone = [i for i in range(len(line)) if there[i + 1] and not (there[i] or there[i + 2])]
    values = [value if isfinite(value) else nan for _, value in line]
    axes.plot([step for step, _ in line], values, gid=gid, marker="o", markersize=5, markevery=alone, **look)
    lost = sorted({step for step, value in [*line, *evals] if not isfinite(value)})
    cross: dict[str, Any] = {"marker": "x", "markersize": 7, "markeredgewidth": 1.8, "linestyle": ""}
    cross |= {"color": look["color"], "gid": f"{gid}-not-finite", "clip_on": False}
    if lost:
        axes.plot(lost, [0.0] * len(lost), transform=axes.get_xaxis_transform(), **cross)
