"""Memory over time: a small panel per arm and process, its phases shaded, all with one memory axis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from math import isfinite, nan
from typing import TYPE_CHECKING

from ohlora.report.plots.svg import INK, LINE, drawing, fold, svg_text
from ohlora.report.words.comparison import say

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"load": "#8b949e", "infer": "#2f86d1", "train": "#d9711c", "eval": "#8a6fd1"}
OTHER = "#1a9d78"
PROCESSES = ("infer", "train")
HEIGHT = 150  # px of a row's panels


@dataclass(frozen=True)
class MemoryPoint:
    """One sample. `t_s` on any clock; `process`: infer or train; `phase`: load, infer, train or eval."""

    t_s: float
    process: str
    phase: str
    mib: float


def memory_timeline(runs: dict[str, list[MemoryPoint]], lang: str = "en") -> str:
    """A row of panels per arm, a column per process; the time of each starts at its first sample."""
    timed = [sorted((p for p in samples if isfinite(p.t_s)), key=lambda p: p.t_s) for samples in runs.values()]
    points = [point for samples in timed for point in samples]
    columns = _in_order({point.process for point in points}, PROCESSES) or [""]
    names = [fold(arm, 80) for arm in runs] or [""]
    timed = timed or [[]]
    highest = max((point.mib for point in points if isfinite(point.mib)), default=0.0) or 1.0
    with drawing(60 + sum(HEIGHT + LINE * (name.count("\n") + 2) for name in names)) as figure:
        panels = figure.subplots(len(names), len(columns), sharex="col", sharey=True, squeeze=False)
        figure.supylabel(say(lang, "plot.memory"), size=12)
        for column, process in enumerate(columns):
            title = fold(say(lang, f"plot.process.{process}") if process in PROCESSES else process, 30)
            for row, (name, run) in enumerate(zip(names, timed, strict=True)):
                axes, samples = panels[row, column], [point for point in run if point.process == process]
                axes.margins(x=0)
                lines = "\n" * (name.count("\n") + 1)
                axes.set_title(f"{name}\n{title}" if column == 0 else f"{lines}{title}")
                if samples:
                    _shade_phases(axes, samples)
                    _line(axes, samples, lang, f"memory-{row}-{column}")
                else:
                    axes.text(0.5, 0.5, say(lang, "plot.nothing"), transform=axes.transAxes, ha="center", va="center")
            panels[0, column].set_xlim(left=0)
        panels[0, 0].set_ylim(0, highest * 1.3)
        panels[0, 0].yaxis.set_major_formatter("{x:,.0f}")
        panels[-1, -1].set_xlabel(say(lang, "plot.seconds"), loc="right")
        _key(figure, {point.phase for point in points}, lang)
        return svg_text(figure, say(lang, "plot.memory_title"))


def _in_order(found: set[str], known: Iterable[str]) -> list[str]:
    return [*(key for key in known if key in found), *sorted(found.difference(known))]


def _key(figure: Figure, found: set[str], lang: str) -> None:
    from matplotlib.patches import Patch

    phases = _in_order(found, COLOURS)
    handles = [Patch(color=COLOURS.get(phase, OTHER), alpha=0.4, linewidth=0) for phase in phases]
    labels = [fold(say(lang, f"plot.phase.{phase}") if phase in COLOURS else phase, 30) for phase in phases]
    figure.legend(handles, labels, loc="outside upper left", ncols=max(len(phases), 1), handlelength=1.2)


def _shade_phases(axes: Axes, samples: list[MemoryPoint]) -> None:
    """Each phase from its first sample to the next phase's."""
    starts = [next(group) for _, group in groupby(samples, key=lambda point: point.phase)]
    ends = [*(point.t_s for point in starts[1:]), samples[-1].t_s]
    for start, end in zip(starts, ends, strict=True):
        span = (start.t_s - samples[0].t_s, end - samples[0].t_s)
        axes.axvspan(*span, color=COLOURS.get(start.phase, OTHER), alpha=0.16, linewidth=0)


def _line(axes: Axes, samples: list[MemoryPoint], lang: str, gid: str) -> None:
    """The memory, and its peak with the number."""
    times = [point.t_s - samples[0].t_s for point in samples]
    values = [point.mib if isfinite(point.mib) else nan for point in samples]
    axes.plot(times, values, color=INK, linewidth=1.4, gid=gid, marker=".", markevery=[0] if len(samples) == 1 else [])
    finite = [(value, -time) for time, value in zip(times, values, strict=True) if isfinite(value)]
    if finite:
        peak, time = max(finite)[0], -max(finite)[1]
        side, shift = ("left", 4) if time < times[-1] / 2 else ("right", -4)
        axes.plot([time], [peak], "o", color=INK, markersize=4, clip_on=False)
        text = f"{say(lang, 'plot.peak')} {peak:,.0f} MiB"
        label = axes.annotate(text, (time, peak), (shift, 6), textcoords="offset points", ha=side, size=11)
        label.set_in_layout(False)
