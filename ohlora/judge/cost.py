"""What fine-tuning took: of the adapter's own run, and the with/without table of the newest comparison."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from ohlora.errors import UserError
from ohlora.records.judgement import Cost
from ohlora.records.result import PhaseRecord, Result, find_result, read_phase
from ohlora.report.comparison.comparison import read_comparison
from ohlora.report.comparison.headline import column_key
from ohlora.report.comparison.table import HEADER, build_arm_row, build_savings_rows

COMPARISON = "comparison.json"


def find_cost(adapter: Path, outputs: Path, lang: str) -> Cost:
    """Of the run whose adapter this is, which stands in its attempt; with the newest comparison under `outputs`."""
    run: PhaseRecord | Result | None = find_result(adapter.parent)
    if run is None and (adapter.parent / "phases" / "train.json").is_file():  # this run, which has no result yet
        run = read_phase(adapter.parent / "phases" / "train.json")
    cost = _cost_of(run) if run else Cost()
    name, table = find_table(outputs, lang)
    return replace(cost, comparison=name, table=table)


def describe_device(device: dict[str, Any]) -> str:
    """Its name and memory, as far as they are recorded."""
    cpu = device.get("cpu") if device.get("name") in (None, "", "CPU", "cpu") else None
    return str(cpu or device.get("name") or "")


def find_table(outputs: Path, lang: str) -> tuple[str, list[list[str]]]:
    """The study's name and its user table, header first; ('', []) if nothing was compared."""
    found = sorted(outputs.glob(f"*/{COMPARISON}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found:
        try:
            comparison = read_comparison(path.parent, lang)
        except (UserError, ValueError, OSError):
            continue
        track = next((track for track in comparison.tracks if track.are_backends), None)
        if track is not None:
            rows = [build_arm_row(arm, track, lang) for arm in track.arms]
            return path.parent.name, [list(HEADER), *rows, *build_savings_rows(track, lang)]
    return "", []


def _cost_of(run: PhaseRecord | Result) -> Cost:
    metrics = run.metrics
    seconds, memory = metrics.get("train/train_time_s"), column_key(metrics, "train", "memory")
    return Cost(
        describe_device(run.device),
        None if seconds is None else seconds / 60,
        metrics[memory] if memory else None,
        "" if memory is None else "VRAM" if re.search("vram", memory) else "RSS",
    )
