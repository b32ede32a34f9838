"""Write the report of a folder of runs of any kind; return what the terminal and MLflow show of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ohlora.records.manifest import CURVE, SELECTION, read_manifest


@dataclass(frozen=True)
class FolderReport:
    """The text to print, the exit code of the runs, the note and the tags of their MLflow parent run."""

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
    if manifest and manifest.kind == CURVE:
        from ohlora.report.curve.write import write_curve

        code, text = write_curve(folder)
        return FolderReport(text, code, text)
    from ohlora.report.comparison.document import compose_summary
    from ohlora.report.comparison.record import list_tags
    from ohlora.report.comparison.write import write_comparison

    comparison, text = write_comparison(folder)
    return FolderReport(text, comparison.exit_code(), compose_summary(comparison), list_tags(comparison))
