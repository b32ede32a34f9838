"""The learning curve: eval loss by training rows, a faint line per seed, the mean with its interval on top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ohlora.report.plots.svg import COLOURS, INK, LINE, drawing, svg_text
from ohlora.report.words.comparison import say

HEIGHT = 340


@dataclass(frozen=True)
class LearningPoint:
    """`losses`: seed -> loss in nats/token; `low` and `high`: the mean's interval, None for one seed."""

    rows: int
    losses: dict[int, float]
    mean: float
    low: float | None
    high: float | None


def learning_plot(points: Sequence[LearningPoint], lang: str = "en") -> str:
    """A logarithmic axis of rows, on which every doubling is equally wide."""
    from matplotlib.ticker import NullLocator

    with drawing(HEIGHT + LINE) as figure:
        axes = figure.subplots()
        axes.set_title(say(lang, "plot.learning_loss"))
        axes.set_xlabel(f"{say(lang, 'plot.learning_rows')}\n{say(lang, 'plot.learning_key')}")
        axes.margins(0.1)
        for seed in sorted({seed for point in points for seed in point.losses}):
            line = [(point.rows, point.losses[seed]) for point in points if seed in point.losses]
            axes.plot([r for r, _ in line], [v for _, v in line], gid=f"seed-{seed}", color=COLOURS[0], alpha=0.35,
                      linewidth=1.2)  # fmt: skip
        axes.plot([p.rows for p in points], [p.mean for p in points], gid="mean", color=INK, marker="o", linewidth=1.8)
        for i, point in enumerate(points):
            if point.low is not None and point.high is not None:
                axes.plot([point.rows] * 2, [point.low, point.high], gid=f"interval-{i}", color=INK, linewidth=1.8,
                          marker="_", markersize=10)  # fmt: skip
        if points:
            axes.set_xscale("log", base=2)
            axes.set_xticks([point.rows for point in points], [f"{point.rows:,}" for point in points])
            axes.xaxis.set_minor_locator(NullLocator())
        else:
            axes.set(xticks=[], yticks=[])
        return svg_text(figure, say(lang, "plot.learning_title"))
