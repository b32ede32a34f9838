"""The files of a comparison, written into its folder."""

from __future__ import annotations

from pathlib import Path

from ohlora.files import write_atomic, write_json
from ohlora.report.comparison.comparison import Comparison, read_comparison
from ohlora.report.comparison.document import document, failures, known, loud, unusable, verdicts
from ohlora.report.comparison.plots import plots_of
from ohlora.report.comparison.record import as_csv, as_dict
from ohlora.report.comparison.table import user_table
from ohlora.report.page import MARKER, page
from ohlora.report.plots import standalone
from ohlora.report.words.comparison import say

ARTIFACTS = ("comparison.*", "selection.*", "*.svg")


def write_comparison(folder: Path, lang: str | None = None, out: Path | None = None) -> tuple[Comparison, str]:
    """Write the report into `out`, by default the folder itself; returns the comparison and what is printed of it."""
    comparison, out = read_comparison(folder, lang), out or folder
    out.mkdir(parents=True, exist_ok=True)
    text, plots = document(comparison), plots_of(comparison)
    for plot in plots:
        write_atomic(out / f"{plot.name}.svg", standalone(plot.svg))
    shown = "\n\n".join(f"![{plot.caption}]({plot.name}.svg)" for plot in plots)
    write_atomic(out / "comparison.md", text.replace(MARKER, shown))
    title = f"{say(comparison.lang, 'title')}: {folder.name}"
    html = page(f"# {title}\n\n{text}", [(plot.caption, plot.svg) for plot in plots], title, comparison.lang)
    write_atomic(out / "comparison.html", html)
    write_atomic(out / "comparison.csv", as_csv([comparison]))
    write_json(out / "comparison.json", as_dict(comparison))
    return comparison, f"{printed(comparison)}\n\n{out / 'comparison.md'}"


def printed(comparison: Comparison) -> str:
    """The tables and what must be known of them, for the terminal."""
    lang, parts = comparison.lang, list(loud(comparison))
    for track in comparison.tracks:
        parts += [f"{say(lang, f'track.{track.name}')}:"] if track.name else []
        parts += [user_table(track, lang), ""]
    parts += list(verdicts(comparison))
    parts += [*failures(comparison), *(f"- {text}" for text in [*known(comparison), *unusable(comparison)])]
    return "\n".join(parts)
