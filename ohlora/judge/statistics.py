"""Shares and their differences, side by side on the same questions: intervals, the exact test, the correction.

Pure functions. One answer to a question and side: Wilson (1927) for a share, Newcombe (1998, paired, method 10) for the
difference. Several (one a seed): a question's answers are not independent, so each question gives one value, its share,
and the interval is the t interval of these values. Test: McNemar's exact test on questions, over all seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import fmean

from ohlora.measure.statistics import estimate_mean
from ohlora.records.judgement import Share

Z = 1.959963984540054  # the normal quantile of a 95 % interval
Kept = Sequence[Sequence[bool]]  # of each question, whether each of its answers kept the rule


def estimate_share(kept: Kept) -> Share:
    """The share of answers that keep a rule, with its 95 % interval."""
    count, of = sum(sum(question) for question in kept), sum(len(question) for question in kept)
    if not of:
        return Share(0, 0)
    if max(len(question) for question in kept) == 1:
        return Share(count, of, *wilson(count, of))
    shares = [fmean(question) for question in kept if question]
    found = estimate_mean(shares)
    if found.interval is None or len(set(shares)) == 1:  # without any spread: as if each question were one answer
        return Share(count, of, *wilson(round(found.mean * len(shares)), len(shares)))
    low, high = found.interval
    return Share(count, of, max(0.0, low), min(1.0, high))


def wilson(kept: float, of: int) -> tuple[float, float]:
    """The 95 % interval of a share. Source: Wilson (1927), without correction for continuity."""
    share = kept / of
    centre = (share + Z * Z / (2 * of)) / (1 + Z * Z / of)
    reach = Z * sqrt(share * (1 - share) / of + Z * Z / (4 * of * of)) / (1 + Z * Z / of)
    return max(0.0, centre - reach), min(1.0, centre + reach)


def estimate_difference(first: Kept, second: Kept) -> tuple[float, float, float]:
    """(difference, low, high) of the shares, second − first, on the same questions in the same order."""
    assert len(first) == len(second) >= 1
    if max(len(question) for question in [*first, *second]) == 1:
        return newcombe([bool(question[0]) for question in first], [bool(question[0]) for question in second])
    differences = [fmean(b) - fmean(a) for a, b in zip(first, second, strict=True)]
    found = estimate_mean(differences)
    if found.interval is None or len(set(differences)) == 1:
        counts = [round(fmean(fmean(question) for question in side) * len(side)) for side in (first, second)]
        rows = [[i < count for i in range(len(first))] for count in counts]
        return (found.mean, *newcombe(rows[0], rows[1])[1:])
    return found.mean, max(-1.0, found.interval[0]), min(1.0, found.interval[1])


def newcombe(first: Sequence[bool], second: Sequence[bool]) -> tuple[float, float, float]:
    """(difference, low, high) of two shares of the same questions. Source: Newcombe (1998), paired data, method 10."""
    n = len(first)
    both = sum(a and b for a, b in zip(first, second, strict=True))
    only_first, only_second = sum(first) - both, sum(second) - both
    neither = n - both - only_first - only_second
    p1, p2 = sum(first) / n, sum(second) / n
    (l1, u1), (l2, u2) = wilson(sum(first), n), wilson(sum(second), n)
    product = (both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither)
    phi = 0.0
    if product:
        excess = float(both * neither - only_first * only_second)
        excess = max(excess - n / 2, 0.0) if excess > 0 else excess  # Newcombe's correction of a positive correlation
        phi = excess / sqrt(product)
    difference = p2 - p1

    def reach(a: float, b: float) -> float:
        return sqrt(max(0.0, a * a - 2 * phi * a * b + b * b))

    return difference, max(-1.0, difference - reach(p2 - l2, u1 - p1)), min(1.0, difference + reach(u2 - p2, p1 - l1))


def mcnemar(better: int, worse: int) -> float:
    """The two-sided exact p of no difference: better and worse questions are equally likely. Source: McNemar (1947)."""
    if better + worse == 0:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(better, better + worse, 0.5).pvalue)
