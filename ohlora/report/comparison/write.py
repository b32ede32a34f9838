"""The files of a comparison, written into its folder."""

from __future__ import annotations

from pathlib import Path

from ohlora.files import write_atomic, write_json
from ohlora.report.comparison.comparison import Comparison, read_comparison
from ohlora.report.comparison.document import document, failures, known, loud, verdicts
from ohlora.report.comparison.plots import plots_of
from ohlora.report.comparison.record import as_csv, as_dict
from ohlora.report.comparison.table import user_table
from ohlora.report.files import write_document
from ohlora.report.markdown import items
from ohlora.report.words.comparison import say

ARTIFACTS = ("comparison.*", "selection.*", "*.svg")


def write_comparison(folder: Path, lang: str | None = None, out: Path | None = None) -> tuple[Comparison, str]:
    """Write the report into `out`, by default the folder itself; returns the comparison and what is printed of it."""
    comparison, out = read_comparison(folder, lang), out or folder
    out.mkdir(parents=True, exist_ok=True)
    title = f"{say(comparison.lang, 'title')}: {folder.name}"
    write_document(out / "comparison", title, document(comparison), plots_of(comparison), comparison.lang)
    write_atomic(out / "comparison.csv", as_csv([comparison]))
    write_json(out / "comparison.json", as_dict(comparison))
    return comparison, f"{printed(comparison)}\n\n{out / 'comparison.md'}"


def printed(comparison: Comparison) -> str:
    """The tables and what must be known of them, for the terminal."""
    lang, parts = comparison.lang, loud(comparison)
    for track in comparison.tracks:
        parts.append((f"{track.title(lang)}:\n" if track.name else "") + user_table(track, lang))
    notes = [*failures(comparison), *known(comparison), *comparison.held.describe_unreadable(lang)]
    return "\n\n".join(filter(None, [*parts, *verdicts(comparison), items(notes)]))
