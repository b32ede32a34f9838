"""Write the report of a learning curve, from result files alone: curve.md, .html, .csv, .json and its plot.

python -m ohlora.report outputs/curve
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any

from ohlora.files import write_atomic, write_json
from ohlora.measure.statistics import MIN_PAIRS, MeanInterval
from ohlora.records.result import Status, exit_code
from ohlora.report.curve.curve import LOSS, Gain, LearningCurve, read_curve, seed_of
from ohlora.report.files import Plot, format_csv, write_document
from ohlora.report.markdown import NO_VALUE, items, section, table
from ohlora.report.page import MARKER
from ohlora.report.plots.learning import LearningPoint, learning_plot
from ohlora.report.provenance import code_version, version_text
from ohlora.report.reading import name_machine
from ohlora.report.words.comparison import say

SCHEMA = 1
COLUMNS = ("c.rows", "c.share", "c.loss", "c.interval", "c.gain", "c.interval", "c.step", "c.seeds")


def write_curve(folder: Path, lang: str | None = None, out: Path | None = None) -> tuple[int, str]:
    """Write the report into `out`, by default the folder itself; return (exit code of the runs, text to print)."""
    curve, out = read_curve(folder, lang), out or folder
    out.mkdir(parents=True, exist_ok=True)
    title = f"{say(curve.lang, 'c.title')} {folder.name}"
    plots = [Plot("curve", say(curve.lang, "plot.learning_title"), draw_curve(curve))]
    write_document(out / "curve", title, compose_document(curve), plots, curve.lang)
    columns = ("share", "rows", "seed", "run_id", "status", LOSS)
    lines = [
        dict(zip(columns, (p.share, p.rows, seed_of(r), r.run_id, r.status, r.metrics.get(LOSS)), strict=True))
        for p in curve.points
        for r in p.runs
    ]
    write_atomic(out / "curve.csv", format_csv(lines, columns))
    write_json(out / "curve.json", to_dict(curve))
    parts = [build_table(curve), describe_verdict(curve), items(list_failures(curve))]
    return find_code(curve), "\n\n".join(filter(None, [*parts, str(out / "curve.md")]))


def find_code(curve: LearningCurve) -> int:
    """The exit code of the runs; 1 also if a planned run is missing."""
    code = exit_code(curve.source.runs)
    return code or int(curve.missing > 0)


def compose_document(curve: LearningCurve) -> str:
    lang = curve.lang
    parts = [describe_verdict(curve), build_table(curve), MARKER, items(list_notes(curve))]
    parts += section(lang, "failures", items(list_failures(curve)))
    parts += section(lang, "unreadable", items(curve.source.describe_unreadable(lang)))
    machines = sorted({name_machine(run.device) for run in curve.source.runs if run.device})
    versions = sorted({f"{key} {value}" for run in curve.source.runs for key, value in run.versions.items()})
    hardware = items([*machines, *([", ".join(versions)] if versions else [])])
    parts += section(lang, "hardware", hardware, say(lang, "written by", version=version_text()))
    return "\n\n".join(filter(None, parts)) + "\n"


def build_table(curve: LearningCurve) -> str:
    """One row per share, the smallest first."""
    gains = {gain.larger.share: gain for gain in curve.gains}
    rows = []
    for point in curve.points:
        gain = gains.get(point.share)
        gained = (f"{gain.gain.mean:+.3f}", _format_interval(gain.gain, "+.3f")) if gain else (NO_VALUE, NO_VALUE)
        loss = point.loss
        rows.append(
            [
                NO_VALUE if point.rows is None else f"{point.rows:,}",
                f"{point.share:g}",
                f"{loss.mean:.3f}" if loss else NO_VALUE,
                _format_interval(loss, ".3f") if loss else NO_VALUE,
                *gained,
                NO_VALUE if point.best_step is None else f"{point.best_step:g}",
                str(len(point.losses)),
            ]
        )
    return table(curve.lang, COLUMNS, rows)


def describe_verdict(curve: LearningCurve) -> str:
    """What the step to the largest share says about still more rows."""
    gain = curve.last_gain
    if gain is None:
        return say(curve.lang, "c.nothing")
    values: dict[str, Any] = {
        "smaller": _name_rows(gain.smaller.rows, gain.smaller.share),
        "larger": _name_rows(gain.larger.rows, gain.larger.share),
    }
    if gain.verdict == "few" or gain.gain.interval is None:
        return say(curve.lang, "c.few", count=gain.gain.count, needed=MIN_PAIRS, **values)
    low, high = (f"{end:.3f}" for end in gain.gain.interval)
    values |= {"gain": f"{gain.gain.mean:.3f}", "change": f"{-gain.gain.mean:+.3f}", "low": low, "high": high}
    return say(curve.lang, f"c.{gain.verdict}", factor=f"{_factor(gain):.3g}", **values)


def list_notes(curve: LearningCurve) -> list[str]:
    """What a reader must know about the table."""
    lang, runs = curve.lang, curve.source.runs
    found = [say(lang, "c.method")]
    kept = {(run.requested.get("trainer") or {}).get("keep", "last") for run in runs}
    found += [say(lang, "c.last")] if "last" in kept else []
    labels = sorted({str(run.model["label"]) for run in runs if "label" in run.model})
    return [*found, *(say(lang, "model", label=label) for label in labels)]


def list_failures(curve: LearningCurve) -> list[str]:
    """Runs without a usable loss, and how many are missing."""
    return [*_failures(curve), *([say(curve.lang, "c.missing", count=curve.missing)] if curve.missing else [])]


def _failures(curve: LearningCurve) -> Iterator[str]:
    for run in curve.source.runs:
        where = {"arm": run.arm, "seed": seed_of(run)}
        if run.status != Status.finished.value:
            reason = f": {run.reason['text']}" if run.reason and run.reason.get("text") else ""
            yield say(curve.lang, "c.ended", status=say(curve.lang, f"status.{run.status}"), reason=reason, **where)
        elif not isfinite(run.metrics.get(LOSS, float("nan"))):
            yield say(curve.lang, "c.unfinite", **where)


def draw_curve(curve: LearningCurve) -> str:
    points = []
    for point in curve.points:
        if point.loss and point.rows:
            low, high = point.loss.interval or (None, None)
            points.append(LearningPoint(point.rows, point.losses, point.loss.mean, low, high))
    return learning_plot(points, curve.lang)


def to_dict(curve: LearningCurve) -> dict[str, Any]:
    """curve.json, documented in docs/training.md."""
    gain = curve.last_gain
    return {
        "schema": SCHEMA,
        "folder": curve.source.folder.name,
        "points": [
            {"share": p.share, "rows": p.rows, "losses": {str(s): v for s, v in p.losses.items()}, **_to_dict(p.loss)}
            for p in curve.points
        ],
        "gains": [{"from": g.smaller.share, "to": g.larger.share, **_to_dict(g.gain)} for g in curve.gains],
        "verdict": gain.verdict if gain else "none finished",
        "text": describe_verdict(curve),
        "lang": curve.lang,
        "written_by": code_version(),
    }


def _to_dict(mean: MeanInterval | None) -> dict[str, Any]:
    return {"mean": mean.mean, "interval": mean.interval, "seeds": mean.count} if mean else {"seeds": 0}


def _format_interval(mean: MeanInterval, form: str) -> str:
    return " … ".join(f"{end:{form}}" for end in mean.interval) if mean.interval else NO_VALUE


def _name_rows(rows: int | None, share: float) -> str:
    return f"{share:g}" if rows is None else f"{rows:,}"


def _factor(gain: Gain) -> float:
    return gain.larger.share / gain.smaller.share
