"""The files of a comparison, written into its folder."""

from __future__ import annotations

from pathlib import Path

from ohlora.files import write_atomic, write_json
from ohlora.report.comparison import Comparison, read_comparison
from ohlora.report.table import comparison_csv, comparison_markdown, failures, user_table


def write_comparison(folder: Path) -> tuple[Comparison, str]:
    """Write comparison.md, .csv and .json; returns the comparison and what is printed of it."""
    comparison = read_comparison(folder)
    write_atomic(folder / "comparison.md", comparison_markdown(comparison))
    write_atomic(folder / "comparison.csv", comparison_csv(comparison))
    write_json(folder / "comparison.json", comparison.as_dict())
    said = failures(comparison.arms) + [f"- {note}" for note in comparison.notes + comparison.unreadable]
    printed = [user_table(comparison), "", *said, "", f"{folder / 'comparison.md'}"]
    return comparison, "\n".join(printed)
