"""Two shares per rule, each with its interval, on a scale from 0 to 100 %."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ohlora.report.plots.ratios import LOOKS
from ohlora.report.plots.svg import INK, LINE, QUIET, drawing, fold, svg_text
from ohlora.report.words.comparison import say

if TYPE_CHECKING:
    from matplotlib.axes import Axes

APART = 0.17  # half the distance between the two points of a row, whose pitch is 1


@dataclass(frozen=True)
class ShareRow:
    """One rule; values are percent, a point with its interval or None. `numbers` and `verdict` stand on the right."""

    label: str
    first: tuple[float, float | None, float | None] | None
    second: tuple[float, float | None, float | None] | None
    numbers: str
    verdict: str
    colour: Literal["better", "worse", "none"]
    aim: float | None = None


def share_intervals(rows: Sequence[ShareRow], first: str, second: str, lang: str = "en") -> str:
    """The first side hollow above, the second filled below; the rule on the left, numbers and verdict on the right."""
    aim = say(lang, "j.plot_aim") if any(row.aim is not None for row in rows) else ""
    key = say(lang, "j.plot_key", first=fold(first, 30, 1), second=fold(second, 30, 1), aim=aim)
    below = [say(lang, "j.plot_axis"), fold(key, 95)]
    names = [fold(row.label, 24) for row in rows]
    numbers = [f"{row.numbers}\n{fold(row.verdict, 30, 1)}" for row in rows]
    pitch = 14 + LINE * max(text.count("\n") + 1 for text in [*names, "\n"])
    with drawing(64 + LINE * ("\n".join(below).count("\n") + 1) + pitch * max(len(rows), 1)) as figure:
        axes = figure.subplots()
        axes.grid(visible=False, axis="y")
        axes.grid(visible=True, axis="x")
        axes.spines["left"].set_visible(False)
        axes.set(xlim=(-3, 103), ylim=(max(len(rows), 1) - 0.5, -0.5))
        axes.set_xticks(range(0, 101, 20))
        axes.set_yticks(range(len(rows)), names)
        right = axes.secondary_yaxis("right")
        right.spines["right"].set_visible(False)
        right.set_yticks(range(len(rows)), numbers)
        for side in (axes, right):
            side.tick_params(axis="y", length=0, pad=10, labelsize=12)
        for i, (row, text) in enumerate(zip(rows, right.get_yticklabels(), strict=True)):
            _draw_row(axes, i, row)
            text.set_color(LOOKS[row.colour][0] if row.colour != "none" else INK)
        axes.set_xlabel("\n".join(below), linespacing=1.5)
        if not rows:
            axes.text(0.5, 0.5, say(lang, "plot.nothing"), transform=axes.transAxes, ha="center", va="center")
        return svg_text(figure, say(lang, "j.plot"))


def _draw_row(axes: Axes, y: int, row: ShareRow) -> None:
    colour, marker = LOOKS[row.colour]
    if row.aim is not None:
        axes.plot([row.aim, row.aim], [y - 0.4, y + 0.4], color=INK, linewidth=1.5, alpha=0.8, gid=f"aim-{y}")
    for name, found, at, ink, face in (
        ("first", row.first, y - APART, QUIET, "none"),
        ("second", row.second, y + APART, colour, colour),
    ):
        if found is None:
            continue
        value, low, high = found
        if low is not None and high is not None:
            line: dict[str, Any] = {"color": ink, "linewidth": 2.5, "solid_capstyle": "butt"}
            axes.plot([low, high], [at, at], gid=f"{name}-interval-{y}", **line)
        look: dict[str, Any] = {"markersize": 8, "markeredgewidth": 2, "markeredgecolor": ink, "markerfacecolor": face}
        axes.plot([value], [at], "o" if name == "first" else marker, gid=f"{name}-{y}", **look)
