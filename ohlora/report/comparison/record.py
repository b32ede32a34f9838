"""The comparison for programs: comparison.json (schema 2) and comparison.csv."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from ohlora.config.identity import slug
from ohlora.measure.disturbance import find_disturbances
from ohlora.records.result import Result
from ohlora.report.comparison.comparison import Comparison, Track
from ohlora.report.comparison.contrast import Contrast, Figure
from ohlora.report.comparison.labels import list_headline
from ohlora.report.comparison.notes import list_notes
from ohlora.report.comparison.settings import list_differences, list_unrequested_changes
from ohlora.report.files import format_csv
from ohlora.report.provenance import code_version
from ohlora.report.reading import ArmRuns

SCHEMA = 2
IDENTITY = ("run_id", "track", "arm", "repeat", "redo", "order", "status")


def to_dict(comparison: Comparison) -> dict[str, Any]:
    """comparison.json, documented in docs/result.md."""
    return {
        "schema": SCHEMA,
        "folder": comparison.folder.name,
        "comparable": bool(comparison.tracks) and all(track.comparable for track in comparison.tracks),
        "tracks": [_track(track) for track in comparison.tracks],
        "notes": [note._asdict() for note in list_notes(comparison, "en")],
        "unreadable": comparison.source.describe_unreadable(comparison.lang),
        "lang": comparison.lang,
        "written_by": code_version(),
    }


def _track(track: Track) -> dict[str, Any]:
    arms = [_arm(arm) for arm in track.arms]
    return {"track": track.name, "arms": arms, "contrasts": [_contrast(one) for one in track.contrasts]}


def _arm(arm: ArmRuns) -> dict[str, Any]:
    changed = (dict(zip(("key", "asked_for", "in_effect"), one, strict=True)) for one in list_unrequested_changes(arm))
    return {
        "name": arm.name,
        "overrides": arm.overrides,
        "backend": arm.backend,
        "planned": arm.planned,
        "status": [run.status for run in arm.runs],
        "failures": [{"run_id": r.run_id, "status": r.status, **(r.reason or {})} for r in arm.runs if r.reason],
        "runs": [run.run_id for run in arm.runs],
        "changed_by_itself": list(changed),
        "medians": {key: value for key, value in arm.metrics().items() if isfinite(value)},
    }


def _contrast(one: Contrast) -> dict[str, Any]:
    return {
        "baseline": one.baseline.name,
        "other": one.other.name,
        "pairs": len(one.pairs),
        "interleaved": one.interleaved,
        "comparable": one.comparable,
        "left_out": [_left_out(pair) for pair in one.left_out],
        "metrics": {key: _figure(figure) for key, figure in one.figures.items()},
        "metrics_with_disturbed": {key: _figure(figure) for key, figure in one.with_disturbed.items()},
        "parity": [vars(check) for check in one.checks],
        "settings": [vars(difference) for difference in list_differences(one.baseline.first, one.other.first)],
    }


def _left_out(pair: tuple[Result, Result]) -> dict[str, Any]:
    reasons = {run.run_id: why for run in pair if (why := find_disturbances(run.disturbance))}
    return {"repeat": pair[0].repeat, "redo": pair[0].redo, "reasons": reasons}


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        "headline": figure.column is not None,
        **{key: value for key, value in vars(figure.paired).items() if key != "p"},  # p_holm replaces it
        "p_holm": figure.p,
        "family": figure.family,
        "pairs_to_show_5_percent": figure.pairs_needed,
        "verdict": figure.verdict,
        "why": figure.why,
    }


def to_csv(comparisons: Sequence[Comparison]) -> str:
    """One line per run: its identity, how it ended, and every metric as a column."""
    rows = []
    for comparison in comparisons:
        for run in comparison.runs:
            phases = find_disturbances(run.disturbance)
            ended = {
                "reason": (run.reason or {}).get("text", ""),
                "disturbed": "; ".join(f"{phase} {', '.join(why)}" for phase, why in phases.items()),
            }
            own = {key: getattr(run, key) for key in IDENTITY}
            rows.append({"folder": comparison.folder.name, **own, **ended, **run.metrics})
    return format_csv(rows, ("folder", *IDENTITY, "reason", "disturbed"))


def list_tags(comparison: Comparison) -> dict[str, str]:
    """The tags in MLflow's list of runs: parity (NOT COMPARABLE if a check is broken) and the headline verdicts."""
    broken = [f"{one.other.name}: {check.code} {check.detail}" for _, one in comparison.voided for check in one.voided]
    whole = "no check is broken" if any(one.pairs for _, one in comparison.contrasts) else "nothing was compared"
    tags = {"parity": f"NOT COMPARABLE: {'; '.join(broken)}" if broken else whole}
    for track, one in comparison.contrasts:
        if one.left_out:
            name = ".".join(part for part in ("disturbed", track.name, slug(one.other.name)) if part)
            tags[name] = f"{len(one.left_out)} of {len(one.left_out) + len(one.pairs)} pairs left out"
    for line in list_headline(comparison, "en"):
        figure, several = line.figure, len(line.track.contrasts) > 1
        where = ("verdict", line.track.name, figure.key.replace("/", "."), several and slug(line.contrast.other.name))
        change = line.change if figure.paired.pairs > 1 else "(one pair)"
        tags[".".join(part for part in where if part)] = f"{figure.verdict} {change}"
    return tags
