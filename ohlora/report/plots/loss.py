"""Loss by optimizer step: a line per arm, and no arm hidden behind another that has the same losses."""

from __future__ import annotations

from math import isfinite, nan
from typing import TYPE_CHECKING, Any

from ohlora.report.plots.svg import LINE, WIDTH, clean, panel, sheet, svg_text, wrapped
from ohlora.report.words.plots import ENGLISH, PlotWords

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Line = list[tuple[int, float]]  # (optimizer step, loss)

# Told apart by colour-blind readers, and on light and dark grounds alike.
COLOURS = ("#2f86d1", "#d9711c", "#1a9d78", "#c0649c", "#8a6fd1", "#a08a1f")
MARKERS = "oDs^vP"
HEIGHT = 260


def loss_curves(curves: dict[str, Line], evals: dict[str, Line], words: PlotWords = ENGLISH) -> str:
    """Training loss as lines, evaluation loss as markers, by arm; the earlier an arm, the wider it is drawn."""
    from matplotlib.ticker import MaxNLocator

    arms = list(dict.fromkeys([*curves, *evals]))
    names = [wrapped(arm, WIDTH - 60) for arm in arms]
    remarks = [clean(remark) for remark in _remarks(curves, evals, words)]
    top = 10 + LINE * (sum(map(len, names)) + len(remarks)) + 26
    with sheet(top + HEIGHT + 44) as ground:
        axes = panel(ground, 52, top, WIDTH - 64, HEIGHT)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if not any(isfinite(value) for lines in (curves, evals) for line in lines.values() for _, value in line):
            axes.set(yticks=[])  # no scale where nothing is
        y = 10
        for i, (arm, name) in enumerate(zip(arms, names, strict=True)):
            line, marker = _looks(i, len(arms))
            _curve(axes, curves.get(arm, []), evals.get(arm, []), line, f"loss-{i}")
            seen = [(step, value) for step, value in evals.get(arm, []) if isfinite(value)]
            axes.plot([s for s, _ in seen], [v for _, v in seen], gid=f"eval-{i}", clip_on=False, **marker)
            ground.plot([2, 32], [y, y], gid=f"key-{i}", **line)
            ground.plot([17] if seen else [], [y] if seen else [], **marker)
            for row, text in enumerate(name):
                ground.text(42, y + row * LINE, text, va="center")
            y += LINE * len(name)
        for row, remark in enumerate(remarks):
            ground.text(42, y + row * LINE, remark, va="center", alpha=0.75)
        ground.text(2, top - 15, words.loss, va="center", alpha=0.75)
        ground.text(WIDTH - 12, top + HEIGHT + 33, words.step, ha="right", va="center", alpha=0.75)
        return svg_text(ground, words.loss_title)


def _remarks(curves: dict[str, Line], evals: dict[str, Line], words: PlotWords) -> list[str]:
    values = [value for lines in (curves, evals) for line in lines.values() for _, value in line]
    drawn = [repr(line) for line in curves.values() if line]
    same = [words.coincide] if len(set(drawn)) < len(drawn) else []
    broken = [] if all(map(isfinite, values)) else [words.not_finite]
    return [words.loss_key if values else words.nothing, *same, *broken]


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
    cross: dict[str, Any] = {
        "marker": "x",
        "markersize": 7,
        "markeredgewidth": 1.8,
        "linestyle": "",
        "color": look["color"],
        "gid": f"{gid}-not-finite",
    }
    axes.plot(lost, [0.0] * len(lost), transform=axes.get_xaxis_transform(), clip_on=False, **cross)
