"""The paired comparison: an interval on log ratios, Holm over a family of metrics, and a verdict in words.

Pairs are runs of two arms that ran next to each other. Ratios are other ÷ baseline, so that 0.9 means a tenth less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from statistics import fmean, geometric_mean, stdev

ALPHA = 0.05
POWER = 0.8
MIN_PAIRS = 4  # fewer give no verdict
MAX_PAIRS = 1000


@dataclass(frozen=True)
class Paired:
    """One metric over all pairs.

    `baseline` and `other` are geometric means; `ratio`, that of the pairs' ratios, is their ratio. `interval` is its
    95 % paired t interval, None under two pairs; `spread` the standard deviation of the pairs' log ratios; `p`
    two-sided, of no difference, never 0.
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

    `resolution` > 0 is the relative error of one measurement. Pairs that agree more closely than that, as counts do,
    show how fine the measurement is and not how certain: interval and p take a smaller spread as the resolution.
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
    """Adjusted p values of a family: at most ALPHA of all families show anything where there is nothing.

    Source: Holm (1979), step-down.
    """
    adjusted, highest = {}, 0.0
    for rank, (key, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, p * (len(p_values) - rank)))
        adjusted[key] = highest
    return adjusted


def pairs_needed(difference: float, spread: float, family: int) -> int | None:
    """The even number of pairs that shows `difference` (0.05: 5 %) four times out of five, at this spread.

    `spread` is of log ratios. The t test is held to ALPHA ÷ `family`, the strictest step of Holm. None: more than
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
