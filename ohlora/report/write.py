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


def write_comparison(folder: Path, lang: str | None = None) -> tuple[Comparison, str]:
    """Write comparison.md, .csv and .json; returns the comparison and what is printed of it."""
    comparison = read_comparison(folder, lang)
    write_atomic(folder / "comparison.md", document(comparison))
    write_atomic(folder / "comparison.csv", as_csv(comparison))
    write_json(folder / "comparison.json", as_dict(comparison))
    return comparison, printed(comparison)


def printed(comparison: Comparison) -> str:
    """The tables and what must be known of them, for the terminal."""
    lang, parts = comparison.lang, list(loud(comparison))
    for track in comparison.tracks:
        parts += [f"{say(lang, f'track.{track.name}')}:"] if track.name else []
        parts += [user_table(track, lang), ""]
    parts += list(verdicts(comparison))
    parts += [*failures(comparison), *(f"- {text}" for text in [*known(comparison), *unusable(comparison)])]
    return "\n".join([*parts, "", f"{comparison.folder / 'comparison.md'}"])
