"""The paired comparison: an interval on log ratios, Holm's correction over a family of metrics, and a verdict.

A pair is two consecutive runs, one per arm. Ratios are other ÷ baseline, so that 0.9 means a tenth less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from statistics import fmean, geometric_mean, stdev

ALPHA = 0.05
POWER = 0.8
MIN_PAIRS = 4  # with fewer there is no verdict
MAX_PAIRS = 1000


@dataclass(frozen=True)
class Paired:
    """One metric over all pairs.

    `baseline` and `other` are geometric means, `ratio` their ratio (the geometric mean of the pairs' ratios).
    `interval` is its 95 % paired t interval, None below two pairs; `spread` the standard deviation of the pairs' log
    ratios; `p` the two-sided p value of no difference, never 0.
    """

    baseline: float
    other: float
    ratio: float
    interval: tuple[float, float] | None
    spread: float | None
    p: float | None
    pairs: int


def compare_pairs(baseline: Sequence[float], other: Sequence[float], resolution: float = 1e-6) -> Paired:
    """Compare values of equal length, one pair at each position; all must be > 0.

    `resolution` > 0 is the relative error of one measurement. If pairs agree more closely than that,
    as counts do, interval and p use the resolution in place of the smaller spread.
    Source: the paired t test on logarithms (a ratio's error is multiplicative, and A ÷ B must mirror B ÷ A).
    """
    assert len(baseline) == len(other) >= 1 and resolution > 0
    logs = [log(b / a) for a, b in zip(baseline, other, strict=True)]
    centre, n = fmean(logs), len(logs)
    interval = spread = p = None
    if n > 1:
        from scipy.stats import t

        spread = stdev(logs)
        error = max(spread, resolution) / sqrt(n)
        reach = float(t.ppf(1 - ALPHA / 2, n - 1)) * error
        interval = (exp(centre - reach), exp(centre + reach))
        p = float(2 * t.sf(abs(centre) / error, n - 1))
    return Paired(geometric_mean(baseline), geometric_mean(other), exp(centre), interval, spread, p, n)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p values of a family: without real differences at most ALPHA of all families show one.

    Source: Holm (1979), step-down.
    """
    adjusted, highest = {}, 0.0
    for rank, (key, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, p * (len(p_values) - rank)))
        adjusted[key] = highest
    return adjusted


def pairs_needed(difference: float, spread: float, family: int) -> int | None:
    """The even number of pairs that detects `difference` (0.05: 5 %) with 80 % power at this spread.

    `spread` is that of log ratios. The t test uses ALPHA ÷ `family`, the strictest step of Holm. None: more than
    1,000 pairs.
    """
    from scipy.stats import nct, t

    effect = log(1 + difference)
    if spread == 0:
        return MIN_PAIRS
    for n in range(MIN_PAIRS, MAX_PAIRS + 1, 2):
        critical, shift = float(t.ppf(1 - ALPHA / family / 2, n - 1)), effect * sqrt(n) / spread
        if shift > 40 or 1 - float(nct.cdf(critical, n - 1, shift)) >= POWER:
            return n
    return None


@dataclass(frozen=True)
class MeanInterval:
    """A mean with its 95 % t interval, None for one value."""

    mean: float
    interval: tuple[float, float] | None
    count: int


def estimate_mean(values: Sequence[float]) -> MeanInterval:
    """The mean of one value per seed, or of the differences within seeds: then it is the paired t interval."""
    assert values
    n, mean = len(values), fmean(values)
    if n == 1:
        return MeanInterval(mean, None, 1)
    from scipy.stats import t

    reach = float(t.ppf(1 - ALPHA / 2, n - 1)) * stdev(values) / sqrt(n)
    return MeanInterval(mean, (mean - reach, mean + reach), n)
