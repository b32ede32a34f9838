"""Two arms of a track against each other: their pairs, a figure for every metric, a verdict in words."""

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
from ohlora.report.comparison.headline import HEADLINE, RESOLUTION_MIB, RESOLUTION_QUALITY, memory_key
from ohlora.report.comparison.parity import checks, overlapped, pairs_of
from ohlora.report.reading import ArmRuns

Verdict = Literal["faster", "slower", "less", "more", "no_difference_shown", "not_comparable", "no_verdict"]
SHOWN_DIFFERENCE = 0.05  # the report says how many pairs would show this one

# Of a lower and of a higher figure; of other kinds: less, more.
VERDICTS: dict[Kind, tuple[Verdict, Verdict]] = {"time": ("faster", "slower"), "throughput": ("slower", "faster")}
Why = Literal["", "few_pairs", "not_interleaved", "one_seed"]
# The relative error of one measurement, where it is not given in MiB: no smaller spread is believed.
RESOLUTION_TIME = 0.001


@dataclass(frozen=True)
class Figure:
    """One metric of a contrast. `p` is adjusted by Holm over its family of so many metrics; `why` it has no verdict."""

    key: str
    headline: bool
    paired: Paired
    p: float | None
    verdict: Verdict
    family: int
    why: Why = ""

    @property
    def pairs_needed(self) -> int | None:
        """How many pairs would show a difference of 5 % at the spread seen; None: over 1,000, or no spread known."""
        return None if self.paired.spread is None else pairs_needed(SHOWN_DIFFERENCE, self.paired.spread, self.family)


@dataclass(frozen=True)
class DisturbedPair:
    """A pair that no verdict is of. `reasons`: run_id -> phase -> why it is disturbed (docs/disturbance.md)."""

    pair: tuple[Result, Result]
    reasons: dict[str, dict[str, list[str]]]


@dataclass
class Contrast:
    """`other` against `baseline`. `voided` are the broken checks; with one, no figure has a verdict.

    `pairs` are those that figures and verdicts are of; `left_out` the disturbed ones; `with_disturbed` the figures as
    they would be of both.
    """

    baseline: ArmRuns
    other: ArmRuns
    pairs: list[tuple[Result, Result]] = field(default_factory=list)
    left_out: list[DisturbedPair] = field(default_factory=list)
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
        """False when nothing may be said of a difference."""
        return bool(self.pairs or self.left_out) and not self.voided and not self.too_short

    def headline(self) -> list[Figure]:
        """The four of the user's table that were measured in both arms, in its order."""
        return [figure for figure in self.figures.values() if figure.headline]


def contrast(baseline: ArmRuns, other: ArmRuns, everything: Sequence[Result]) -> Contrast:
    """Compare two arms; `everything` are all runs of the folder, which may have overlapped with theirs."""
    whole = pairs_of(baseline.finished, other.finished)
    made = Contrast(baseline, other)
    for pair in whole:
        found = {run.run_id: why for run in pair if (why := find_disturbances(run.disturbance))}
        if found:
            made.left_out.append(DisturbedPair(pair, found))
        else:
            made.pairs.append(pair)
    made.checks = checks(baseline.finished, other.finished)
    if whole:
        made.checks.append(overlapped(everything))
    made.interleaved = is_interleaved(made.pairs)
    made.too_short = any((run.requested.get("trainer") or {}).get("name") == "smoke" for pair in whole for run in pair)
    made.figures = _figures(made, made.pairs)
    made.with_disturbed = _figures(made, whole)
    return made


def _figures(made: Contrast, pairs: Sequence[tuple[Result, Result]]) -> dict[str, Figure]:
    """Every metric of these pairs. The headline metrics of a contrast are one family of Holm's, its others another."""
    found = {key: compare_pairs(*sides, _resolution(key, sides[0])) for key, sides in _values(pairs).items()}
    names = _headline_keys(found)
    figures = {}
    for family in (names, [key for key in found if key not in names]):
        adjusted = holm({key: p for key in family if (p := found[key].p) is not None})
        for key in family:
            one, p = found[key], adjusted.get(key)
            why = _why_no_verdict(key, pairs)
            verdict = "not_comparable" if not made.comparable else "no_verdict" if why else _verdict(key, one, p)
            figures[key] = Figure(key, key in names, one, p, verdict, len(family), why if made.comparable else "")
    return figures


def _why_no_verdict(key: str, pairs: Sequence[tuple[Result, Result]]) -> Why:
    """What a verdict on this metric lacks; '' nothing. Quality needs seeds: pairs of one seed are one observation."""
    if len(pairs) < MIN_PAIRS:
        return "few_pairs"
    if not is_interleaved(pairs):
        return "not_interleaved"
    seeds = {run.requested.get("seed") for run, _ in pairs}
    return "one_seed" if _kind(key) == "quality" and len(seeds) < MIN_PAIRS else ""


def _resolution(key: str, values: Sequence[float]) -> float:
    """The relative error of one measurement of this metric."""
    kind = _kind(key)
    return {"memory": RESOLUTION_MIB / median(values), "quality": RESOLUTION_QUALITY}.get(kind, RESOLUTION_TIME)


def _verdict(key: str, one: Paired, p: float | None) -> Verdict:
    kind = _kind(key)
    least = {"memory": RESOLUTION_MIB / one.baseline, "quality": RESOLUTION_QUALITY}.get(kind, 0.0)
    if p is None or p > ALPHA or abs(one.ratio - 1) < least:
        return "no_difference_shown"
    return VERDICTS.get(kind, ("less", "more"))[one.ratio >= 1]


def _kind(key: str) -> Kind:
    declared = metric_of(key)
    assert declared, f"{key}: not declared"
    return declared.kind


def _values(pairs: Sequence[tuple[Result, Result]]) -> dict[str, tuple[list[float], list[float]]]:
    """Metric -> its values in both arms, pair by pair; only what every run has, above zero, and is no description."""
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


def _headline_keys(found: dict[str, Paired]) -> list[str]:
    """The user's four columns, by the metrics that stand for them here."""
    have = dict.fromkeys(found, 1.0)
    keys = [memory_key(have, key.split()[0]) if key.endswith(" memory") else key for key in HEADLINE]
    return [key for key in keys if key in found]


def is_interleaved(pairs: Sequence[tuple[Result, Result]]) -> bool:
    """Did the pairs run one after the other, each arm going first equally often? (One pair alone did.)"""
    if any("started" not in run.timings for pair in pairs for run in pair):
        return False
    spans = sorted(sorted(((a.timings["started"], 0), (b.timings["started"], 1))) for a, b in pairs)
    apart = all(earlier[1][0] < later[0][0] for earlier, later in pairwise(spans))
    baseline_first = sum(span[0][1] == 0 for span in spans)
    return apart and abs(2 * baseline_first - len(spans)) <= 1
