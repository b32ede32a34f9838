"""The report of a folder of runs, whichever kind they are: written, and what the terminal and MLflow get of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ohlora.records.manifest import SELECTION, read_manifest


@dataclass(frozen=True)
class FolderReport:
    """What is printed, the exit code of the runs, the note of the MLflow run above them, its tags."""

    text: str
    code: int
    note: str
    tags: dict[str, str] = field(default_factory=dict)


def write_report(folder: Path) -> FolderReport:
    """Write the folder's report into it."""
    manifest = read_manifest(folder)
    if manifest and manifest.kind == SELECTION:
        from ohlora.report.selection.write import write_selection

        code, text = write_selection([folder], None, None)
        return FolderReport(text, code, text)
    from ohlora.report.comparison.document import head
    from ohlora.report.comparison.record import tags_of
    from ohlora.report.comparison.write import write_comparison

    comparison, text = write_comparison(folder)
    return FolderReport(text, comparison.exit_code(), head(comparison), tags_of(comparison))
