"""The choice of a model for programs: selection.json (schema 1) and selection.csv."""

from __future__ import annotations

from math import isfinite
from typing import Any

from ohlora.report.files import format_csv
from ohlora.report.provenance import code_version
from ohlora.report.selection.candidates import ModelGroup
from ohlora.report.selection.choice import describe_choice, list_objections
from ohlora.report.selection.document import list_notes
from ohlora.report.selection.selection import MachineRanking, ModelSelection

SCHEMA = 1
COLUMNS = ("machine", "model", "params_m", "licence", "rank", "run_id", "repeat", "status", "code", "reason", "grade")


def to_dict(selection: ModelSelection) -> dict[str, Any]:
    """selection.json, documented in docs/result.md."""
    return {
        "schema": SCHEMA,
        "folders": [source.folder.name for source in selection.folders],
        "lang": selection.lang,
        "written_by": code_version(),
        "machines": [_machine(machine) for machine in selection.machines],
        "notes": list_notes(selection),
        "unreadable": selection.unreadable(),
    }


def to_csv(selection: ModelSelection) -> str:
    """One line per run, and per planned one that left no result: identity, how it ended, every metric as a column."""
    rows: list[dict[str, object]] = []
    for group in selection.models:
        of_model = {key: getattr(group, key) for key in ("machine", "model", "params_m", "licence")}
        for one in group.candidates:
            first = {**of_model, "rank": one.rank, "grade": one.grade}
            rows += [] if one.results else [{**first, "status": one.status}]
            for run in one.results:
                reason = run.reason or {}
                ended = {"status": run.status, "code": reason.get("code"), "reason": reason.get("text")}
                rows.append({**first, "run_id": run.run_id, "repeat": run.repeat, **ended, **run.metrics})
    return format_csv(rows, COLUMNS)


def _machine(machine: MachineRanking) -> dict[str, Any]:
    first, ranking = machine.winner, machine.ranking
    names = [{"model": candidate.model, "rank": candidate.rank} for candidate in machine.finished]
    chosen = {**names[first.index], "score": first.score, "text": describe_choice(machine, "en")} if first else None
    return {
        "machine": machine.name,
        "choice": chosen,
        "tied": len(ranking.winners) > 1,
        "against": list_objections(machine, "en"),
        "chrf_floor": machine.floor,
        "weights": ranking.weights,
        "figures": ranking.figures,
        "left_out": ranking.left_out,
        "ranking": [
            {
                "place": one.place,
                **names[one.index],
                "score": one.score,
                "parts": one.parts,
                "figures": _finite(machine.finished[one.index].figures),
            }
            for one in ranking.scores
        ],
        "if_weight_changes": {
            part: {f"{factor:g}": [names[index] for index in found] for factor, found in factors.items()}
            for part, factors in machine.changed.items()
        },
        "candidates": [_model(group) for group in machine.models],
    }


def _finite(values: dict[str, float]) -> dict[str, float]:
    return {key: value for key, value in values.items() if isfinite(value)}


def _model(group: ModelGroup) -> dict[str, Any]:
    return {
        "model": group.model,
        "label": group.fact("label", "label"),
        "params_m": group.params_m,
        "licence": group.licence,
        "inference": {"n": len(group.timed), **_finite(group.candidates[0].inference)},
        "ranks": [
            {
                "rank": one.rank,
                "status": one.status,
                "reason": one.reason or None,
                "runs": [result.run_id for result in one.results],
                "grade": one.grade,
                "medians": _finite(one.metrics),
            }
            for one in group.candidates
        ],
    }
