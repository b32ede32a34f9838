"""The choice of a model for programs: selection.json (schema 1) and selection.csv."""

from __future__ import annotations

import csv
import io
from math import isfinite
from typing import Any

from ohlora.report.provenance import code_version
from ohlora.report.selection.candidates import ModelGroup
from ohlora.report.selection.choice import describe_choice, list_objections
from ohlora.report.selection.document import list_notes
from ohlora.report.selection.selection import MachineRanking, ModelSelection

SCHEMA = 1


def to_dict(selection: ModelSelection) -> dict[str, Any]:
    """selection.json, documented in docs/result.md."""
    return {
        "schema": SCHEMA,
        "folders": [held.folder.name for held in selection.folders],
        "lang": selection.lang,
        "written_by": code_version(),
        "machines": [_machine(machine) for machine in selection.machines],
        "notes": list_notes(selection),
        "unreadable": selection.unreadable(),
    }


def to_csv(selection: ModelSelection) -> str:
    """One line per run, and per planned one that left no result: identity, how it ended, every metric as a column."""
    keys = sorted({key for result in selection.results for key in result.metrics})
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    head = ["machine", "model", "params_m", "licence", "rank", "run_id", "repeat", "status", "code", "reason", "grade"]
    writer.writerow([*head, *keys])
    for group in selection.models:
        for one in group.candidates:
            first = [group.machine, group.model, group.params_m, group.licence, one.rank]
            if not one.results:
                writer.writerow([*first, "", "", one.status, "", "", one.grade, *("" for _ in keys)])
            for run in one.results:
                reason = run.reason or {}
                ended = [run.run_id, run.repeat, run.status, reason.get("code"), reason.get("text"), one.grade]
                writer.writerow([*first, *ended, *(run.metrics.get(key, "") for key in keys)])
    return out.getvalue()


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
