"""The plots of a comparison: losses, memory over time, ratios with their intervals; read off the run folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from ohlora.files import read_jsonl
from ohlora.measure.disturbance import find_disturbances
from ohlora.report.comparison.comparison import Comparison, Track
from ohlora.report.comparison.contrast import Contrast, Figure
from ohlora.report.comparison.labels import figure_name
from ohlora.report.files import Plot
from ohlora.report.plots.loss import loss_curves
from ohlora.report.plots.memory import MemoryPoint, memory_timeline
from ohlora.report.plots.ratios import RatioRow, ratio_intervals
from ohlora.report.reading import ArmRuns, find_newest
from ohlora.report.words.comparison import say

Colour = Literal["better", "worse", "none", "void"]
COLOURS: dict[str, Colour] = {
    "faster": "better", "less": "better", "slower": "worse", "more": "worse", "not_comparable": "void",
}  # fmt: skip
# Shown below the headline metrics.
ALSO_SHOWN = ("train/train_tokens_per_s", "infer/infer_ttft_ms", "load/load_s", "eval/eval_loss")


def draw_plots(comparison: Comparison) -> list[Plot]:
    """Every plot of every track that has something to draw."""
    found, lang = [], comparison.lang
    for track in comparison.tracks:
        drawn = {
            "ratio": ("ratios", _ratios(track, lang)),
            "loss": ("loss", _losses(comparison.folder, track, lang)),
            "memory": ("memory", _memory(comparison.folder, track, lang)),
        }
        for what, (file, svg) in drawn.items():
            if svg:
                title = say(lang, f"plot.{what}_title")
                named = (f"{track.name}-{file}", f"{title} ({track.title(lang)})") if track.name else (file, title)
                found.append(Plot(*named, svg))
    return found


def _ratios(track: Track, lang: str) -> str | None:
    rows, remarks = [], []
    for one in track.contrasts:
        also = [one.figures[key] for key in ALSO_SHOWN if key in one.figures]
        rows += [_row(track, one, figure, lang) for figure in [*one.headline(), *also]]
        if one.left_out:
            counts = {"count": len(one.left_out), "all": len(one.left_out) + len(one.pairs)}
            remarks.append(say(lang, "plot.left_out", arm=track.label(one.other), **counts))
    return ratio_intervals(rows, lang, remarks) if rows else None


def _row(track: Track, one: Contrast, figure: Figure, lang: str) -> RatioRow:
    several = f"{track.label(one.other)}: " if len(track.contrasts) > 1 else ""
    low, high = figure.paired.interval or (None, None)
    colour, verdict = COLOURS.get(figure.verdict, "none"), say(lang, figure.verdict)
    return RatioRow(f"{several}{figure_name(figure, lang)}", figure.paired.ratio, low, high, verdict, colour)


def _losses(folder: Path, track: Track, lang: str) -> str | None:
    curves: dict[str, list[tuple[int, float]]] = {}
    evals: dict[str, list[tuple[int, float]]] = {}
    for arm in track.arms:
        lines = _lines(folder, arm, "metrics.jsonl")
        for key, into in (("train/loss", curves), ("eval/eval_loss", evals)):
            into[_name(arm, lang)] = [
                (int(line["step"]), float(line["value"]))
                for line in lines
                if line.get("key") == key and line.get("step") is not None
            ]
    return loss_curves(curves, evals, lang) if any(curves.values()) else None


def _memory(folder: Path, track: Track, lang: str) -> str | None:
    """What a GPU showed for the process where there is one, else resident memory."""
    series = {}
    for arm in track.arms:
        lines = _lines(folder, arm, "memory.jsonl")
        key = "vram_device_mib" if any("vram_device_mib" in line for line in lines) else "rss_mib"
        series[_name(arm, lang)] = [
            MemoryPoint(line["time"], line["process"], line["phase"], line[key]) for line in lines if key in line
        ]
    return memory_timeline(series, lang) if any(series.values()) else None


def _name(arm: ArmRuns, lang: str) -> str:
    """The arm's name, marked where all of its runs were disturbed, so that one of them is drawn."""
    disturbed = find_disturbances(arm.drawn.disturbance) if arm.drawn else {}
    phases = ", ".join(say(lang, f"phase.{phase}") for phase in disturbed)
    return arm.name + (say(lang, "plot.disturbed", phases=phases) if phases else "")


def _lines(folder: Path, arm: ArmRuns, name: str) -> list[dict[str, Any]]:
    """A file of the newest attempt of the arm's run that is drawn."""
    path = find_newest(folder, arm.drawn, name) if arm.drawn else None
    return read_jsonl(path) if path else []
