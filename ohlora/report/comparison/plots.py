"""The plots of a comparison: losses, memory over time, ratios with their intervals; read off the run folders."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ohlora.files import read_jsonl
from ohlora.records.layout import attempts
from ohlora.report.comparison.comparison import Comparison, Track
from ohlora.report.comparison.contrast import Contrast, Figure
from ohlora.report.comparison.labels import headline_name, label
from ohlora.report.plots import (
    ENGLISH,
    KOREAN,
    MemoryPoint,
    PlotWords,
    RatioRow,
    loss_curves,
    memory_timeline,
    ratio_intervals,
)
from ohlora.report.reading import ArmRuns
from ohlora.report.words.comparison import say

Colour = Literal["better", "worse", "none", "void"]
COLOURS: dict[str, Colour] = {
    "faster": "better", "less": "better", "slower": "worse", "more": "worse", "not_comparable": "void",
}  # fmt: skip
# Shown under the four of the headline.
ALSO_SHOWN = ("train/train_tokens_per_s", "infer/infer_ttft_ms", "load/load_s", "eval/eval_loss")


@dataclass(frozen=True)
class Plot:
    """One drawing: the name of its file without `.svg`, what stands above it, the SVG text."""

    name: str
    caption: str
    svg: str


def plots_of(comparison: Comparison) -> list[Plot]:
    """Every plot of every track that has something to draw."""
    words = replace(KOREAN if comparison.lang == "ko" else ENGLISH, interval=say(comparison.lang, "interval"))
    found = []
    for track in comparison.tracks:
        drawn = {
            "ratios": _ratios(track, words, comparison.lang),
            "loss": _losses(comparison.folder, track, words),
            "memory": _memory(comparison.folder, track, words),
        }
        for what, svg in drawn.items():
            if svg:
                prefix, said = (
                    (f"{track.name}-", say(comparison.lang, f"track.{track.name}")) if track.name else ("", "")
                )
                title = {"ratios": words.ratio_title, "loss": words.loss_title, "memory": words.memory_title}[what]
                found.append(Plot(f"{prefix}{what}", f"{title} ({said})" if said else title, svg))
    return found


def _ratios(track: Track, words: PlotWords, lang: str) -> str | None:
    rows = []
    for one in track.contrasts:
        also = [one.figures[key] for key in ALSO_SHOWN if key in one.figures]
        rows += [_row(track, one, figure, lang) for figure in [*one.headline(), *also]]
    return ratio_intervals(rows, words) if rows else None


def _row(track: Track, one: Contrast, figure: Figure, lang: str) -> RatioRow:
    low, high = figure.paired.interval or (None, None)
    name = headline_name(figure, lang) if figure.headline else figure.key
    several = f"{label(one.other, track.arms)}: " if len(track.contrasts) > 1 else ""
    return RatioRow(
        f"{several}{name}",
        figure.paired.ratio,
        low,
        high,
        say(lang, figure.verdict),
        COLOURS.get(figure.verdict, "none"),
    )


def _losses(folder: Path, track: Track, words: PlotWords) -> str | None:
    curves: dict[str, list[tuple[int, float]]] = {}
    evals: dict[str, list[tuple[int, float]]] = {}
    for arm in track.arms:
        lines = _lines(folder, arm, "metrics.jsonl")
        for key, into in (("train/loss", curves), ("eval/eval_loss", evals)):
            into[arm.name] = [
                (int(line["step"]), float(line["value"]))
                for line in lines
                if line.get("key") == key and line.get("step") is not None
            ]
    return loss_curves(curves, evals, words) if any(curves.values()) else None


def _memory(folder: Path, track: Track, words: PlotWords) -> str | None:
    """What a GPU showed for the process where there is one, else resident memory."""
    series = {}
    for arm in track.arms:
        lines = _lines(folder, arm, "memory.jsonl")
        key = "vram_device_mib" if any("vram_device_mib" in line for line in lines) else "rss_mib"
        series[arm.name] = [
            MemoryPoint(line["time"], line["process"], line["phase"], line[key]) for line in lines if key in line
        ]
    return memory_timeline(series, words) if any(series.values()) else None


def _lines(folder: Path, arm: ArmRuns, name: str) -> list[dict[str, Any]]:
    """A file of the newest attempt of the arm's first run."""
    if arm.first is None:
        return []
    run = folder if (folder / "result.json").is_file() else folder / arm.first.run_id
    return next((read_jsonl(path / name) for path in attempts(run)[::-1] if (path / name).is_file()), [])
