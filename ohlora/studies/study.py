"""Many runs as one study: an MLflow parent run, and a report at the end, also after an error or Ctrl-C."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ohlora.config.schema import Config

CANCELLED = 130


@dataclass
class StudyOutcome:
    """The study's MLflow parent run and how the study ended; `broken`: the launcher failed, so runs may be missing."""

    parent: str | None
    finished: bool = False
    broken: bool = False
    code: int = 1


@contextlib.contextmanager
def report_runs(config: Config, folder: Path, note: str, before: str | None = None) -> Iterator[StudyOutcome]:
    """Report on the runs of this block when it ends, also after Ctrl-C, and close MLflow's parent run."""
    from ohlora.report.folder import write_report
    from ohlora.tracking.mlflow_tracker import open_tracker

    tracker = open_tracker(config, lambda text: print(text, file=sys.stderr))
    reported = StudyOutcome(tracker.begin_sweep(folder.name, note, before) if tracker else None)
    report, links = None, list[str]()
    try:
        with contextlib.suppress(KeyboardInterrupt):
            yield reported
        report = write_report(folder)
        print(report.text)
        if reported.broken:
            reported.code = CANCELLED if report.code == CANCELLED else 1
        else:
            reported.code = report.code if reported.finished else CANCELLED
    finally:
        if tracker:
            links = tracker.end_sweep(folder, report, finished=reported.code == 0)
        for line in links:
            print(line, file=sys.stderr)
