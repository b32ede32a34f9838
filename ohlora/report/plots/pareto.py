"""Quality against cost: a marker per candidate and rank; what nothing beats in both is filled, joined and named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from math import isfinite
from typing import TYPE_CHECKING, Any

from ohlora.report.plots.loss import COLOURS, MARKERS
from ohlora.report.plots.svg import INK, LINE, WIDTH, clean, panel, sheet, svg_text, text_width, wrapped
from ohlora.report.words.plots import ENGLISH, PlotWords

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT, LEFT, RIGHT = 330, 52, WIDTH - 16
FONT, TALL = 11.5, 15  # px of a name
DISTANCES = (11, 22, 36, 52, 70, 90, 115, 140)  # px from a point to its name, the nearest that is free
DIRECTIONS = ((1, 0), (1, -1), (-1, -1), (0, -1), (-1, 0), (1, 1), (0, 1), (-1, 1))
LOG_FROM = 8  # times between the least and the greatest cost
SERIES = tuple(digit * 10.0**power for power in range(-3, 8) for digit in (1, 2, 5))
Box = tuple[float, float, float, float]  # left, top, right, bottom in px


@dataclass(frozen=True)
class ParetoPoint:
    """`series` gives colour and marker, `size` (0, 1, 2 …) the marker's size; `name` is written beside it."""

    series: str
    name: str
    cost: float
    quality: float
    size: int = 0


def front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """For each (cost, quality): is there no other that is at least as good in both and better in one?"""
    return [
        not any(c <= cost and q >= quality and (c < cost or q > quality) for c, q in points) for cost, quality in points
    ]


def pareto_plot(points: Sequence[ParetoPoint], cost: str, title: str, words: PlotWords = ENGLISH) -> str:
    """The plot. `cost` is written under the axis; points without a finite number are left out."""
    seen = [point for point in points if isfinite(point.cost) and isfinite(point.quality) and point.cost > 0]
    names = list(dict.fromkeys(point.series for point in seen))
    keys, rows = _key_places(names)
    top = 10 + LINE * (rows + 1) + 26
    with sheet(top + HEIGHT + 44) as ground:
        axes = panel(ground, LEFT, top, RIGHT - LEFT, HEIGHT)
        looks = {name: _look(i) for i, name in enumerate(names)}
        for name, (x, y) in keys.items():
            ground.plot([x + 6], [y], markersize=7, markerfacecolor=looks[name]["color"], **looks[name])
            ground.text(x + 18, y, clean(name), va="center")
        remark = words.pareto_key if seen else words.nothing
        ground.text(2, 10 + LINE * rows, remark, va="center", alpha=0.75)
        ground.text(2, top - 15, words.pareto_quality, va="center", alpha=0.75)
        ground.text(RIGHT, top + HEIGHT + 33, cost, ha="right", va="center", alpha=0.75)
        _scales(axes, seen)
        best = front([(point.cost, point.quality) for point in seen])
        edge = sorted((p.cost, p.quality) for p, on_it in zip(seen, best, strict=True) if on_it)
        axes.plot(*zip(*edge, strict=True) if edge else ([], []), gid="front", color=INK, alpha=0.4, linewidth=1.2,
                  drawstyle="steps-post")  # fmt: skip
        for i, (point, on_it) in enumerate(zip(seen, best, strict=True)):
            face = looks[point.series]["color"] if on_it else "none"
            size = 6 + 2 * min(point.size, 4)
            axes.plot([point.cost], [point.quality], gid=f"point-{i}", markersize=size, markerfacecolor=face,
                      zorder=3, clip_on=False, **looks[point.series])  # fmt: skip
        places = [_px(axes, point.cost, point.quality, top) for point in seen]
        taken = [(x - 7, y - 7, x + 7, y + 7) for x, y in places]
        taken += _steps([_px(axes, x, y, top) for x, y in edge])
        named = [(point.name, place) for point, place, on_it in zip(seen, places, best, strict=True) if on_it]
        _names(ground, named, taken, (LEFT + 8, top - 6, RIGHT + 12, top + HEIGHT))
        return svg_text(ground, title)


def _look(i: int) -> dict[str, Any]:
    """Colour and marker of a series; after six the markers shift, so that thirty-six differ."""
    marker = MARKERS[(i + i // len(COLOURS)) % len(MARKERS)]
    return {"color": COLOURS[i % len(COLOURS)], "marker": marker, "linestyle": "", "markeredgewidth": 1.8}


def _key_places(names: Sequence[str]) -> tuple[dict[str, tuple[float, float]], int]:
    """Where each series stands in the key, in as many rows as it takes."""
    places, x, row = {}, 2.0, 0
    for name in names:
        width = 18 + text_width(clean(name)) + 20
        if x > 2 and x + width > WIDTH:
            x, row = 2.0, row + 1
        places[name] = (x, 10 + LINE * float(row))
        x += width
    return places, row + 1


def _scales(axes: Axes, points: Sequence[ParetoPoint]) -> None:
    """Room around the points; a logarithmic cost where the costs are far apart."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    if not points:
        axes.set(xticks=[], yticks=[])
        return
    costs, qualities = [p.cost for p in points], [p.quality for p in points]
    low, high = min(costs), max(costs)
    if high / low > LOG_FROM:
        axes.set(xscale="log", xlim=(low / 1.3, high * 1.3))
        ticks = [tick for tick in SERIES if low / 1.3 <= tick <= high * 1.3]
        axes.set_xticks(ticks)
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        room = 0.08 * (high - low) or 0.1 * high
        axes.set_xlim(low - room, high + room)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    room = 0.1 * (max(qualities) - min(qualities)) or max(0.1 * abs(max(qualities)), 0.1)
    axes.set_ylim(min(qualities) - room, max(qualities) + room)


def _px(axes: Axes, cost: float, quality: float, top: float) -> tuple[float, float]:
    """Where on the sheet a point lies."""
    x, y = axes.transData.transform((cost, quality))
    left, low = axes.transAxes.transform((0, 0))
    return LEFT + (x - left), top + HEIGHT - (y - low)


def _steps(edge: Sequence[tuple[float, float]]) -> list[Box]:
    """The front's line as thin boxes, so that no name is struck through."""
    boxes = []
    for (x, y), (right, up) in pairwise(edge):
        boxes += [(x, y - 3, right, y + 3), (right - 3, up, right + 3, y)]
    return boxes


def _names(ground: Axes, named: Sequence[tuple[str, tuple[float, float]]], taken: list[Box], room: Box) -> None:
    """Each name where it hides neither a point nor another name; a thin line leads to one that stands apart."""
    points = len(taken)
    for name, (x, y) in named:
        (text,) = wrapped(name, 300, FONT, lines=1)
        options = [_box(x, y, dx, dy, away, text) for away, (dx, dy) in product(DISTANCES, DIRECTIONS)]
        names = taken[points:]
        costs = [
            _outside(box, room)
            + _overlap(box, taken)
            + 9 * _overlap(box, names)
            + _crossed((x, y), _end(box, x, y), names)
            for box in options
        ]
        box = options[costs.index(min(costs))]
        taken.append(box)
        end = _end(box, x, y)
        if abs(x - end[0]) + abs(y - end[1]) > 1.6 * DISTANCES[0]:
            ground.plot([x, end[0]], [y, end[1]], color=INK, alpha=0.35, linewidth=0.8, zorder=0)
        side = "center" if box[0] < x < box[2] else "right" if box[2] <= x else "left"
        at = {"left": box[0], "center": (box[0] + box[2]) / 2, "right": box[2]}[side]
        ground.text(at, (box[1] + box[3]) / 2, text, va="center", ha=side, size=FONT)


def _end(box: Box, x: float, y: float) -> tuple[float, float]:
    """Where a line from this point meets the name: its nearer end, or above or below it."""
    middle = (box[1] + box[3]) / 2
    if box[0] < x < box[2]:
        return x, box[3] if middle < y else box[1]
    return min(max(x, box[0]), box[2]), middle


def _crossed(start: tuple[float, float], end: tuple[float, float], names: Sequence[Box]) -> float:
    """What it costs that a line runs through names."""
    steps = [i / 20 for i in range(21)]
    on_line = [(start[0] + i * (end[0] - start[0]), start[1] + i * (end[1] - start[1])) for i in steps]
    return sum(60.0 for x, y in on_line for left, top, right, low in names if left < x < right and top < y < low)


def _box(x: float, y: float, dx: int, dy: int, away: float, text: str) -> Box:
    """The place of a text on this side of a point, so far away."""
    width = text_width(text, FONT)
    middle = y + dy * (away + (2 if dx == 0 else 0)) * (1 if dx == 0 else 0.8)
    left = {1: x + away, 0: x - width / 2, -1: x - away - width}[dx]
    return left, middle - TALL / 2, left + width, middle + TALL / 2


def _overlap(box: Box, taken: Sequence[Box]) -> float:
    """How many square px of it are taken."""
    return sum(_common(box, other) for other in taken)


def _outside(box: Box, room: Box) -> float:
    """What it costs to reach out of the room."""
    return 4 * ((box[2] - box[0]) * (box[3] - box[1]) - _common(box, room))


def _common(box: Box, other: Box) -> float:
    wide, high = min(box[2], other[2]) - max(box[0], other[0]), min(box[3], other[3]) - max(box[1], other[1])
    return max(wide, 0.0) * max(high, 0.0)
