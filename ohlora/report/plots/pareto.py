"""Quality against cost: a marker per candidate and rank; those on the Pareto front are filled, joined and named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from ohlora.report.plots.svg import COLOURS, INK, LINE, MARKERS, drawing, fold, svg_text
from ohlora.report.words.comparison import say

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT = 430
LOG_FROM = 8  # greatest ÷ least cost


@dataclass(frozen=True)
class ParetoPoint:
    """`series` gives colour and marker, `size` (0, 1, 2 …) the marker's size; `name` is written beside it."""

    series: str
    name: str
    cost: float
    quality: float
    size: int = 0


def front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """For each (cost, quality): is it on the Pareto front, so that no other is as good in both and better in one?"""
    return [
        not any(c <= cost and q >= quality and (c < cost or q > quality) for c, q in points) for cost, quality in points
    ]


def pareto_plot(points: Sequence[ParetoPoint], cost: str, title: str, lang: str = "en") -> str:
    """The plot. `cost` is written under the axis; points without a finite number are left out."""
    from matplotlib.lines import Line2D

    seen = [point for point in points if isfinite(point.cost) and isfinite(point.quality) and point.cost > 0]
    names = list(dict.fromkeys(point.series for point in seen))
    keys = [fold(name, 60, lines=1) for name in names]
    columns = min(4, max(1, 88 // (max(map(len, keys), default=0) + 6)))
    with drawing(HEIGHT + LINE * -(-len(names) // columns)) as figure:
        axes = figure.subplots()
        axes.set_title(say(lang, "plot.pareto_quality"))
        axes.set_xlabel(f"{cost}\n{say(lang, 'plot.pareto_key' if seen else 'plot.nothing')}")
        looks = {name: _look(i) for i, name in enumerate(names)}
        handles = [Line2D([], [], markersize=7, markerfacecolor=look["color"], **look) for look in looks.values()]
        figure.legend(handles, keys, loc="outside upper left", ncols=columns, handlelength=1)
        _set_scales(axes, seen)
        mask = front([(point.cost, point.quality) for point in seen])
        best = [point for point, is_best in zip(seen, mask, strict=True) if is_best]
        edge = sorted((point.cost, point.quality) for point in best)
        axes.plot([c for c, _ in edge], [q for _, q in edge], gid="front", color=INK, alpha=0.4, linewidth=1.2,
                  drawstyle="steps-post")  # fmt: skip
        for i, point in enumerate(seen):
            face = looks[point.series]["color"] if point in best else "none"
            size = 6 + 2 * min(point.size, 4)
            axes.plot([point.cost], [point.quality], gid=f"point-{i}", markersize=size, markerfacecolor=face,
                      zorder=3, clip_on=False, **looks[point.series])  # fmt: skip
        axes.autoscale_view()  # the names need the final scale
        label_points(axes, best, seen)
        return svg_text(figure, title)


def label_points(axes: Axes, named: Sequence[ParetoPoint], points: Sequence[ParetoPoint]) -> list[Any]:
    """Place each name where it hides no point and no other name; a thin line connects a name that stands apart."""
    from adjustText import adjust_text

    texts = [axes.text(point.cost, point.quality, fold(point.name, 40, lines=1), size=11.5) for point in named]
    for text in texts:
        text.set_in_layout(False)
    if texts:
        costs, qualities = [point.cost for point in points], [point.quality for point in points]
        line = {"arrowstyle": "-", "color": INK, "alpha": 0.35, "linewidth": 0.8}
        adjust_text(texts, costs, qualities, ax=axes, iter_lim=400, arrowprops=line, force_text=(0.3, 0.5),
                    force_static=(0.05, 0.1), force_pull=(0.05, 0.05), expand=(1.1, 1.4))  # fmt: skip
    return texts


def _look(i: int) -> dict[str, Any]:
    """Colour and marker of a series; after six the markers shift, so that thirty-six differ."""
    marker = MARKERS[(i + i // len(COLOURS)) % len(MARKERS)]
    return {"color": COLOURS[i % len(COLOURS)], "marker": marker, "linestyle": "", "markeredgewidth": 1.8}


def _set_scales(axes: Axes, points: Sequence[ParetoPoint]) -> None:
    """Room around the points; a logarithmic cost where the costs are far apart."""
    from matplotlib.ticker import LogLocator, NullLocator

    axes.margins(0.08, 0.1)
    costs = [point.cost for point in points]
    if not points:
        axes.set(xticks=[], yticks=[])
    elif max(costs) / min(costs) > LOG_FROM:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:,.6g}")
