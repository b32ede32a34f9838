"""Memory over time: a small panel per arm and process, its phases shaded, all with one memory axis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from math import isfinite, nan
from typing import TYPE_CHECKING

from ohlora.report.plots.svg import INK, LINE, WIDTH, clean, panel, sheet, svg_text, text_width, wrapped
from ohlora.report.words.plots import ENGLISH, PlotWords

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"load": "#8b949e", "infer": "#2f86d1", "train": "#d9711c", "eval": "#8a6fd1"}
OTHER = "#1a9d78"
HEIGHT, LEFT, GAP = 140, 56, 18


@dataclass(frozen=True)
class MemoryPoint:
    """One sample. `t_s` on any clock; `process`: infer or train; `phase`: load, infer, train or eval."""

    t_s: float
    process: str
    phase: str
    mib: float


def memory_timeline(runs: dict[str, list[MemoryPoint]], words: PlotWords = ENGLISH) -> str:
    """A row of panels per arm, a column per process; the time of each starts at its first sample."""
    timed = [[point for point in samples if isfinite(point.t_s)] for samples in runs.values()]
    points = [point for samples in timed for point in samples]
    columns = _in_order({point.process for point in points}, words.processes)
    width = (WIDTH - LEFT - 12 - GAP * (len(columns) - 1)) / max(len(columns), 1)
    names = [wrapped(arm, WIDTH - 20) for arm in runs]
    tops = [
        62 + sum(LINE * len(name) + HEIGHT + 16 for name in names[:i]) + LINE * len(names[i]) for i in range(len(names))
    ]
    highest = max((point.mib for point in points if isfinite(point.mib)), default=0.0) or 1.0
    with sheet((tops[-1] + HEIGHT if tops else 30) + 46) as ground:
        _key(ground, {point.phase for point in points}, words)
        for column, process in enumerate(columns):
            left = LEFT + column * (width + GAP)
            ground.text(left + width / 2, 38, clean(words.processes.get(process, process)), ha="center", va="center")
            series = [sorted((p for p in run if p.process == process), key=lambda p: p.t_s) for run in timed]
            longest = max(samples[-1].t_s - samples[0].t_s for samples in series if samples) or 1.0
            for row, samples in enumerate(series):
                axes = panel(ground, left, tops[row], width, HEIGHT)
                axes.set(xlim=(0, longest), ylim=(0, highest * 1.35))
                axes.yaxis.set_major_formatter("{x:,.0f}")
                axes.tick_params(labelleft=column == 0, labelbottom=row == len(series) - 1)
                if samples:
                    _phases(axes, samples, longest / width, words)
                    _line(axes, _thinned(samples, longest / width), words, f"memory-{row}-{column}")
                else:
                    middle = left + width / 2
                    ground.text(middle, tops[row] + HEIGHT / 2, words.nothing, ha="center", va="center", alpha=0.75)
        for name, top in zip(names, tops, strict=True):
            for i, text in enumerate(reversed(name)):
                ground.text(2, top - 13 - LINE * i, text, va="center", weight="bold")
        if columns:
            ground.text(2, 38, words.memory, va="center", alpha=0.75)
            ground.text(WIDTH - 12, tops[-1] + HEIGHT + 34, words.seconds, ha="right", va="center", alpha=0.75)
        return svg_text(ground, words.memory_title)


def _in_order(found: set[str], known: Mapping[str, str]) -> list[str]:
    return [*(key for key in known if key in found), *sorted(found - set(known))]


def _key(ground: Axes, found: set[str], words: PlotWords) -> None:
    from matplotlib.patches import Rectangle

    x = 2.0
    for phase in _in_order(found, COLOURS):
        text = clean(words.phases.get(phase, phase))
        ground.add_patch(Rectangle((x, 5), 14, 11, color=COLOURS.get(phase, OTHER), alpha=0.4, linewidth=0))
        ground.text(x + 20, 11, text, va="center")
        x += 20 + text_width(text) + 18
    if not found:
        ground.text(2, 11, words.nothing, va="center")


def _phases(axes: Axes, samples: list[MemoryPoint], s_per_px: float, words: PlotWords) -> None:
    """Shade each phase from its first sample to the next phase's; name it once, where it is widest, if it fits."""
    starts = [next(group) for _, group in groupby(samples, key=lambda point: point.phase)]
    zero, ends = samples[0].t_s, [*(point.t_s for point in starts[1:]), samples[-1].t_s]
    widest: dict[str, tuple[float, float]] = {}
    for start, end in zip(starts, ends, strict=True):
        span = (start.t_s - zero, end - zero)
        axes.axvspan(*span, color=COLOURS.get(start.phase, OTHER), alpha=0.16, linewidth=0)
        widest[start.phase] = max(widest.get(start.phase, (0.0, 0.0)), span, key=lambda s: s[1] - s[0])
    for phase, (begin, end) in widest.items():
        text = clean(words.phases.get(phase, phase))
        if text_width(text, 11) + 6 < (end - begin) / s_per_px:
            middle = (begin + end) / 2
            axes.text(middle, 0.93, text, transform=axes.get_xaxis_transform(), ha="center", va="center", size=11)


def _thinned(samples: list[MemoryPoint], s_per_px: float) -> list[MemoryPoint]:
    """Per px the first, the lowest and the highest sample and a gap: all that can be seen of a long run."""
    kept = []
    for _, group in groupby(samples, key=lambda point: int(point.t_s / s_per_px)):
        here = list(group)
        finite = sorted((i for i, point in enumerate(here) if isfinite(point.mib)), key=lambda i: here[i].mib)
        gap = [i for i, point in enumerate(here) if not isfinite(point.mib)]
        kept += [here[i] for i in sorted({0, *finite[:1], *finite[-1:], *gap[:1]})]
    return kept


def _line(axes: Axes, samples: list[MemoryPoint], words: PlotWords, gid: str) -> None:
    """The memory, and its peak with the number."""
    times = [point.t_s - samples[0].t_s for point in samples]
    values = [point.mib if isfinite(point.mib) else nan for point in samples]
    axes.plot(times, values, color=INK, linewidth=1.4, gid=gid, marker=".", markevery=[0] if len(samples) == 1 else [])
    finite = [(value, -time) for time, value in zip(times, values, strict=True) if isfinite(value)]
    if finite:
        peak, time = max(finite)[0], -max(finite)[1]
        side, shift = ("left", 4) if time < axes.get_xlim()[1] / 2 else ("right", -4)
        axes.plot([time], [peak], "o", color=INK, markersize=4, clip_on=False)
        text = f"{words.peak} {peak:,.0f} MiB"
        axes.annotate(text, (time, peak), (shift, 7), textcoords="offset points", ha=side, size=11)
