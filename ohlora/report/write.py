"""The files of a comparison, written into its folder."""

from __future__ import annotations

from pathlib import Path

from ohlora.files import write_atomic, write_json
from ohlora.report.comparison import Comparison, read_comparison
from ohlora.report.document import document, failures, known, loud, unusable, verdicts
from ohlora.report.record import as_csv, as_dict
from ohlora.report.table import user_table
from ohlora.report.words import say

ARTIFACTS = ("comparison.md", "comparison.csv", "comparison.json")


def write_comparison(folder: Path, lang: str | None = None, out: Path | None = None) -> tuple[Comparison, str]:
    """Write the report into `out`, by default the folder itself; returns the comparison and what is printed of it."""
    comparison, out = read_comparison(folder, lang), out or folder
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "comparison.md", document(comparison))
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
