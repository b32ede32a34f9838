"""Two arms of a track compared: their pairs, a figure for every metric, a verdict in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import isfinite
from statistics import median
from typing import Literal

from ohlora.measure.disturbance import find_disturbances
from ohlora.measure.metrics import Kind, metric_of
from ohlora.measure.statistics import ALPHA, MIN_PAIRS, Paired, compare_pairs, holm, pairs_needed
from ohlora.records.result import Result
from ohlora.report.comparison.equality import Check
from ohlora.report.comparison.headline import (
    COLUMNS,
    RESOLUTION_MIB,
    RESOLUTION_QUALITY,
    RESOLUTION_TIME,
    column_key,
)
from ohlora.report.comparison.parity import check_overlap, match_pairs, run_checks
from ohlora.report.reading import ArmRuns

Verdict = Literal["faster", "slower", "less", "more", "no_difference_shown", "not_comparable", "no_verdict"]
SHOWN_DIFFERENCE = 0.05  # the report estimates how many pairs would show it

# The verdicts on a lower and on a higher figure; of other kinds: less, more.
VERDICTS: dict[Kind, tuple[Verdict, Verdict]] = {"time": ("faster", "slower"), "throughput": ("slower", "faster")}
Why = Literal["", "few_pairs", "not_interleaved", "one_seed"]


@dataclass(frozen=True)
class Figure:
    """One metric of a contrast. `column`: its place in the user's table, None for other metrics.

    `p` is adjusted by Holm over `family` metrics; `why`: the reason if there is no verdict.
    """

    key: str
    column: tuple[str, str] | None
    paired: Paired
    p: float | None
    verdict: Verdict
    family: int
    why: Why = ""

    @property
    def pairs_needed(self) -> int | None:
        """How many pairs would show a difference of 5 % at the spread seen; None: over 1,000, or no spread known."""
        return None if self.paired.spread is None else pairs_needed(SHOWN_DIFFERENCE, self.paired.spread, self.family)


@dataclass
class Contrast:
    """`other` compared with `baseline`. `voided` are the broken checks; with one, no figure has a verdict.

    Figures and verdicts are of `pairs`; `left_out` are the disturbed pairs; `with_disturbed` are the figures over both.
    """

    baseline: ArmRuns
    other: ArmRuns
    pairs: list[tuple[Result, Result]] = field(default_factory=list)
    left_out: list[tuple[Result, Result]] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    interleaved: bool = False
    too_short: bool = False
    figures: dict[str, Figure] = field(default_factory=dict)
    with_disturbed: dict[str, Figure] = field(default_factory=dict)

    @property
    def voided(self) -> list[Check]:
        return [check for check in self.checks if check.state == "broken"]

    @property
    def comparable(self) -> bool:
        """False when no verdict on a difference is allowed."""
        return bool(self.pairs or self.left_out) and not self.voided and not self.too_short

    def headline(self) -> list[Figure]:
        """The metrics of the user's table that were measured in both arms, in its order."""
        return [figure for figure in self.figures.values() if figure.column]


def compare_arms(baseline: ArmRuns, other: ArmRuns, everything: Sequence[Result]) -> Contrast:
    """Compare two arms; `everything` are all runs of the folder, which may have run at the same time."""
    whole = match_pairs(baseline.finished, other.finished)
    made = Contrast(baseline, other)
    for pair in whole:
        (made.left_out if any(find_disturbances(run.disturbance) for run in pair) else made.pairs).append(pair)
    made.checks = run_checks(baseline.finished, other.finished)
    if whole:
        made.checks.append(check_overlap(everything))
    made.interleaved = is_interleaved(made.pairs)
    made.too_short = any((run.requested.get("trainer") or {}).get("name") == "smoke" for pair in whole for run in pair)
    made.figures = _figures(made, made.pairs)
    made.with_disturbed = _figures(made, whole)
    return made


def _figures(made: Contrast, pairs: Sequence[tuple[Result, Result]]) -> dict[str, Figure]:
    """Every metric of these pairs. The headline metrics of a contrast are one Holm family, its others another."""
    found = {}
    for key, (left, right) in _values(pairs).items():
        found[key] = compare_pairs(left, right, _least_difference(key, median(left)) or RESOLUTION_TIME)
    columns = {name: column for column in COLUMNS if (name := column_key(found, *column))}
    figures = {}
    for family in ([*columns], [key for key in found if key not in columns]):
        adjusted = holm({key: p for key in family if (p := found[key].p) is not None})
        for key in family:
            one, p = found[key], adjusted.get(key)
            why = _why_no_verdict(key, pairs)
            verdict = "not_comparable" if not made.comparable else "no_verdict" if why else _verdict(key, one, p)
            figures[key] = Figure(key, columns.get(key), one, p, verdict, len(family), why if made.comparable else "")
    return figures


def _why_no_verdict(key: str, pairs: Sequence[tuple[Result, Result]]) -> Why:
    """Why this metric has no verdict, '' if it has one. Quality needs seeds: pairs of one seed are one observation."""
    if len(pairs) < MIN_PAIRS:
        return "few_pairs"
    if not is_interleaved(pairs):
        return "not_interleaved"
    seeds = {run.requested.get("seed") for run, _ in pairs}
    return "one_seed" if _kind(key) == "quality" and len(seeds) < MIN_PAIRS else ""


def _verdict(key: str, one: Paired, p: float | None) -> Verdict:
    if p is None or p > ALPHA or abs(one.ratio - 1) < _least_difference(key, one.baseline):
        return "no_difference_shown"
    return VERDICTS.get(_kind(key), ("less", "more"))[one.ratio >= 1]


def _least_difference(key: str, value: float) -> float:
    """The relative difference below which there is none; 0 where only the spread of the pairs decides."""
    return {"memory": RESOLUTION_MIB / value, "quality": RESOLUTION_QUALITY}.get(_kind(key), 0.0)


def _kind(key: str) -> Kind:
    declared = metric_of(key)
    assert declared, f"{key}: not declared"
    return declared.kind


def _values(pairs: Sequence[tuple[Result, Result]]) -> dict[str, tuple[list[float], list[float]]]:
    """Metric -> its values in both arms, pair by pair; only what every run has, is above zero and is compared."""
    if not pairs:
        return {}
    keys = set.intersection(*(set(run.metrics) for pair in pairs for run in pair))
    found = {}
    for key in sorted(keys):
        left, right = [a.metrics[key] for a, _ in pairs], [b.metrics[key] for _, b in pairs]
        declared = metric_of(key)
        if declared and declared.compared and all(isfinite(value) and value > 0 for value in (*left, *right)):
            found[key] = (left, right)
    return found


def is_interleaved(pairs: Sequence[tuple[Result, Result]]) -> bool:
    """Did the pairs run one after the other, each arm going first equally often? (One pair alone did.)"""
    if any("started" not in run.timings for pair in pairs for run in pair):
        return False
    spans = sorted(sorted(((a.timings["started"], 0), (b.timings["started"], 1))) for a, b in pairs)
    apart = all(earlier[1][0] < later[0][0] for earlier, later in pairwise(spans))
    baseline_first = sum(span[0][1] == 0 for span in spans)
    return apart and abs(2 * baseline_first - len(spans)) <= 1
