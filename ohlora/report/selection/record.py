"""The choice of a model for programs: selection.json (schema 1) and selection.csv."""

from __future__ import annotations

import csv
import io
from math import isfinite
from typing import Any

from ohlora.report.selection.choice import Machine, against, choice
from ohlora.report.selection.document import known
from ohlora.report.selection.rows import Candidate
from ohlora.report.selection.study import Study

SCHEMA = 1


def as_dict(study: Study) -> dict[str, Any]:
    """selection.json, documented in docs/result.md."""
    return {
        "schema": SCHEMA,
        "folders": [held.folder.name for held in study.held],
        "lang": study.lang,
        "machines": [_machine(made) for made in study.machines],
        "notes": known(study),
        "unreadable": study.unusable(),
    }


def as_csv(study: Study) -> str:
    """One line per run, and per planned one that left no result: identity, how it ended, every metric as a column."""
    keys = sorted({key for result in study.results for key in result.metrics})
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    head = ["machine", "model", "params_m", "licence", "rank", "run_id", "repeat", "status", "code", "reason", "grade"]
    writer.writerow([*head, *keys])
    for candidate in study.candidates:
        facts = [candidate.params_m, candidate.licence]
        for entry in candidate.entries:
            first, grade = [candidate.machine, candidate.model, *facts, entry.rank], entry.grade
            if not entry.runs:
                writer.writerow([*first, "", "", entry.status, "", "", grade, *("" for _ in keys)])
            for run in entry.results:
                reason = run.reason or {}
                ended = [run.run_id, run.repeat, run.status, reason.get("code"), reason.get("text"), grade]
                writer.writerow([*first, *ended, *(run.metrics.get(key, "") for key in keys)])
    return out.getvalue()


def _machine(made: Machine) -> dict[str, Any]:
    first = made.winner
    names = [{"model": entry.model, "rank": entry.rank} for _, entry in made.rows]
    chosen = {**names[first.index], "score": first.score, "text": choice(made, "en")} if first else None
    return {
        "machine": made.name,
        "choice": chosen,
        "tied": len(made.ranking.winners) > 1,
        "against": against(made, "en"),
        "chrf_floor": made.floor,
        "weights": made.ranking.weights,
        "figures": made.ranking.figures,
        "left_out": made.ranking.left_out,
        "ranking": [
            {
                "place": row.place,
                **names[row.index],
                "score": row.score,
                "parts": row.parts,
                "figures": _finite(made.figures[row.index]),
            }
            for row in made.ranking.rows
        ],
        "if_weight_changes": {
            part: {f"{factor:g}": [names[index] for index in found] for factor, found in factors.items()}
            for part, factors in made.changed.items()
        },
        "candidates": [_candidate(candidate) for candidate in made.candidates],
    }


def _finite(values: dict[str, float]) -> dict[str, float]:
    return {key: value for key, value in values.items() if isfinite(value)}


def _candidate(candidate: Candidate) -> dict[str, Any]:
    base, n = candidate.inference
    return {
        "model": candidate.model,
        "label": candidate.fact("label", "label"),
        "params_m": candidate.params_m,
        "licence": candidate.licence,
        "inference": {"n": n, **_finite(base)},
        "ranks": [
            {
                "rank": entry.rank,
                "status": entry.status,
                "reason": entry.reason or None,
                "runs": [result.run_id for result in entry.results],
                "grade": entry.grade,
                "medians": _finite(entry.metrics),
            }
            for entry in candidate.entries
        ],
    }
