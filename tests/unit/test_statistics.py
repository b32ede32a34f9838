"""The paired comparison against scipy's own tests, hand computations and its definition."""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np
import pytest
from scipy import stats

from ohlora.measure.statistics import ALPHA, MIN_PAIRS, compare_pairs, holm, pairs_needed


def test_the_interval_is_the_paired_t_interval_on_log_ratios() -> None:
    a, b = [10.0, 11.0, 9.5, 10.4], [9.0, 10.5, 8.9, 9.1]
    found = compare_pairs(a, b)
    tested = stats.ttest_rel(np.log(b), np.log(a))
    low, high = tested.confidence_interval(0.95)
    assert found.interval == pytest.approx((exp(low), exp(high)))
    assert found.p == pytest.approx(tested.pvalue)
    assert found.ratio == pytest.approx(stats.gmean(np.array(b) / np.array(a)))
    assert found.baseline == pytest.approx(stats.gmean(a)) and found.pairs == 4
    assert found.ratio == pytest.approx(found.other / found.baseline)


def test_arms_exchanged_give_the_mirrored_ratio() -> None:
    a, b = [1.0, 2.0, 3.0], [1.5, 2.2, 3.9]
    assert compare_pairs(a, b).ratio == pytest.approx(1 / compare_pairs(b, a).ratio)
    assert compare_pairs(a, b).p == pytest.approx(compare_pairs(b, a).p)


def test_one_pair_has_a_ratio_and_nothing_more() -> None:
    found = compare_pairs([4.0], [3.0])
    assert (found.ratio, found.interval, found.spread, found.p) == (pytest.approx(0.75), None, None, None)


def test_values_without_any_spread_are_as_certain_as_they_are_fine() -> None:
    """An allocator's counts repeat themselves exactly: the resolution stands for the spread, and p is never 0."""
    same = compare_pairs([4096.0] * 4, [4096.0] * 4, 8 / 4096)
    assert same.p == 1.0 and same.spread == 0
    more = compare_pairs([4096.0] * 4, [4224.0] * 4, 8 / 4096)
    assert more.p is not None and 0 < more.p < 0.001
    t = log(4224 / 4096) / (8 / 4096 / sqrt(4))
    assert more.p == pytest.approx(2 * stats.t.sf(t, 3))
    assert more.interval is not None and more.interval[0] < 4224 / 4096 < more.interval[1]


def test_holm_by_hand() -> None:
    adjusted = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.9})
    assert adjusted == pytest.approx({"a": 0.04, "c": 0.09, "b": 0.09, "d": 0.9})
    assert holm({"only": 0.03}) == {"only": 0.03} and holm({}) == {}


def test_pairs_needed_reach_the_power_that_they_promise() -> None:
    """Simulated: the number for 5 % at a spread of 2 % finds it four times out of five, two pairs fewer do not."""
    spread, difference, family = 0.02, 0.05, 4
    n = pairs_needed(difference, spread, family)
    assert n is not None and n % 2 == 0
    random = np.random.default_rng(1)

    def power(pairs: int) -> float:
        logs = random.normal(log(1 + difference), spread, size=(20_000, pairs))
        t = logs.mean(axis=1) / (logs.std(axis=1, ddof=1) / sqrt(pairs))
        return float(np.mean(t > stats.t.ppf(1 - ALPHA / family / 2, pairs - 1)))

    assert power(n) >= 0.79
    assert n == MIN_PAIRS or power(n - 2) < 0.81


@pytest.mark.parametrize(("spread", "expected"), [(0.0, MIN_PAIRS), (1e-6, MIN_PAIRS), (5.0, None)])
def test_pairs_needed_at_the_ends(spread: float, expected: int | None) -> None:
    assert pairs_needed(0.05, spread, 4) == expected
