"""The comparison for programs: comparison.json (schema 2) and comparison.csv."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from math import isfinite
from typing import Any

from ohlora.config.identity import slug
from ohlora.measure.disturbance import find_disturbances
from ohlora.report.comparison.comparison import Comparison, Track
from ohlora.report.comparison.contrast import Contrast, Figure
from ohlora.report.comparison.document import note_text, unusable
from ohlora.report.comparison.labels import change
from ohlora.report.comparison.settings import changed_by_itself, differences
from ohlora.report.provenance import code_version

SCHEMA = 2


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """comparison.json, documented in docs/result.md."""
    return {
        "schema": SCHEMA,
        "folder": comparison.folder.name,
        "comparable": bool(comparison.tracks) and all(track.comparable for track in comparison.tracks),
        "tracks": [_track(track) for track in comparison.tracks],
        "notes": [{"code": note.code, "text": note_text(note, "en")} for note in comparison.notes()],
        "unreadable": unusable(comparison),
        "lang": comparison.lang,
        "written_by": code_version(),
    }


def _track(track: Track) -> dict[str, Any]:
    return {
        "track": track.name,
        "arms": [
            {
                "name": arm.name,
                "overrides": arm.overrides,
                "backend": arm.backend,
                "planned": arm.planned,
                "status": [run.status for run in arm.runs],
                "failures": [
                    {"run_id": r.run_id, "status": r.status, **(r.reason or {})} for r in arm.runs if r.reason
                ],
                "runs": [run.run_id for run in arm.runs],
                "changed_by_itself": [
                    {"key": key, "asked_for": want, "in_effect": have} for key, want, have in changed_by_itself(arm)
                ],
                "medians": {key: value for key, value in arm.metrics().items() if isfinite(value)},
            }
            for arm in track.arms
        ],
        "contrasts": [_contrast(one) for one in track.contrasts],
    }


def _contrast(one: Contrast) -> dict[str, Any]:
    left, right = one.baseline.first, one.other.first
    return {
        "baseline": one.baseline.name,
        "other": one.other.name,
        "pairs": len(one.pairs),
        "interleaved": one.interleaved,
        "comparable": one.comparable,
        "left_out": [
            {"repeat": left.pair[0].repeat, "redo": left.pair[0].redo, "reasons": left.reasons} for left in one.left_out
        ],
        "metrics": {key: _figure(figure) for key, figure in one.figures.items()},
        "metrics_with_disturbed": {key: _figure(figure) for key, figure in one.with_disturbed.items()},
        "parity": [vars(check) for check in one.checks],
        "settings": [vars(difference) for difference in differences(left, right)] if left and right else [],
    }


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        "headline": figure.headline,
        "baseline": figure.paired.baseline,
        "other": figure.paired.other,
        "ratio": figure.paired.ratio,
        "interval": figure.paired.interval,
        "spread": figure.paired.spread,
        "p_holm": figure.p,
        "family": figure.family,
        "pairs": figure.paired.pairs,
        "pairs_to_show_5_percent": figure.pairs_needed,
        "verdict": figure.verdict,
        "why": figure.why,
    }


def as_csv(comparisons: Sequence[Comparison]) -> str:
    """One line per run: its identity, how it ended, and every metric as a column."""
    keys = sorted({key for comparison in comparisons for run in comparison.runs for key in run.metrics})
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["folder", "run_id", "track", "arm", "repeat", "redo", "order", "status", "reason", "disturbed", *keys]
    )
    for comparison in comparisons:
        for run in comparison.runs:
            identity = [
                comparison.folder.name,
                run.run_id,
                run.track,
                run.arm,
                run.repeat,
                run.redo,
                run.order,
                run.status,
            ]
            values = [run.metrics.get(key, "") for key in keys]
            disturbed = "; ".join(f"{p} {', '.join(why)}" for p, why in find_disturbances(run.disturbance).items())
            writer.writerow([*identity, (run.reason or {}).get("text", ""), disturbed, *values])
    return out.getvalue()


def tags_of(comparison: Comparison) -> dict[str, str]:
    """What MLflow's list of runs shows of a comparison: its parity, loud when broken, and the headline verdicts."""
    broken = [f"{one.other.name}: {check.code} {check.detail}" for _, one in comparison.voided for check in one.voided]
    paired = any(one.pairs for track in comparison.tracks for one in track.contrasts)
    whole = "no check is broken" if paired else "nothing was compared"
    tags = {"parity": f"NOT COMPARABLE: {'; '.join(broken)}" if broken else whole}
    for track in comparison.tracks:
        for one in track.contrasts:
            if one.left_out:
                name = ".".join(part for part in ("disturbed", track.name, slug(one.other.name)) if part)
                tags[name] = f"{len(one.left_out)} of {len(one.left_out) + len(one.pairs)} pairs left out"
            for figure in one.headline():
                where = ".".join(part for part in ("verdict", track.name, figure.key.replace("/", ".")) if part)
                name = where if len(track.contrasts) == 1 else f"{where}.{slug(one.other.name)}"
                tags[name] = f"{figure.verdict} {change(figure) if figure.paired.pairs > 1 else '(one pair)'}"
    return tags
