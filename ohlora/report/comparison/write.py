"""The files of a comparison, written into its folder."""

from __future__ import annotations

from pathlib import Path

from ohlora.files import write_atomic, write_json
from ohlora.report.comparison.comparison import Comparison, read_comparison
from ohlora.report.comparison.document import (
    compose_document,
    describe_notes,
    list_breaches,
    list_failures,
    list_verdicts,
)
from ohlora.report.comparison.plots import draw_plots
from ohlora.report.comparison.record import to_csv, to_dict
from ohlora.report.comparison.table import build_user_table
from ohlora.report.files import write_document
from ohlora.report.markdown import items
from ohlora.report.words.comparison import say

ARTIFACTS = ("comparison.*", "selection.*", "curve.md", "curve.html", "curve.csv", "curve.json", "*.svg")


def write_comparison(folder: Path, lang: str | None = None, out: Path | None = None) -> tuple[Comparison, str]:
    """Write the report into `out`, by default the folder itself; returns the comparison and the text to print."""
    comparison, out = read_comparison(folder, lang), out or folder
    out.mkdir(parents=True, exist_ok=True)
    title = f"{say(comparison.lang, 'title')}: {folder.name}"
    write_document(out / "comparison", title, compose_document(comparison), draw_plots(comparison), comparison.lang)
    write_atomic(out / "comparison.csv", to_csv([comparison]))
    write_json(out / "comparison.json", to_dict(comparison))
    return comparison, f"{summarise(comparison)}\n\n{out / 'comparison.md'}"


def summarise(comparison: Comparison) -> str:
    """The tables, verdicts and notes, for the terminal."""
    lang, parts = comparison.lang, list_breaches(comparison)
    for track in comparison.tracks:
        parts.append((f"{track.title(lang)}:\n" if track.name else "") + build_user_table(track, lang))
    notes = [*list_failures(comparison), *describe_notes(comparison), *comparison.source.describe_unreadable(lang)]
    return "\n\n".join(filter(None, [*parts, *list_verdicts(comparison), items(notes)]))
