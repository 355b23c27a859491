"""Welch's test and Hedges' g against SciPy and by hand, Holm's correction, and the comparison with the best mean."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from lipschitz.report.statistics.intervals import Interval, mean_interval
from lipschitz.report.statistics.significance import compare_pairs, compare_with_best, hedges_g, holm, welch_p_values

SEEDS = [[1.0, 2.0, 3.5, 2.2], [4.0, 5.5, 4.2], [1.1, 2.4, 2.9, 3.0, 1.7]]


def arrays(groups: list[list[float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    found = [mean_interval(group) for group in groups]
    mean, ci95 = (np.array([getattr(one, name) for one in found]) for name in ("mean", "half_width"))
    return mean, ci95, np.array([one.n for one in found])


def test_p_values_are_those_of_scipy() -> None:
    found = welch_p_values(*arrays(SEEDS))
    for i, first in enumerate(SEEDS):
        for j, second in enumerate(SEEDS):
            expected = 1.0 if i == j else stats.ttest_ind(first, second, equal_var=False).pvalue
            assert found[i, j] == pytest.approx(expected, rel=1e-9)


def test_geometric_means_are_tested_by_logarithms() -> None:
    groups = [[0.2, 0.9, 4.0], [30.0, 80.0, 50.0]]
    found = compare_pairs([mean_interval(group, "lipschitz_lower") for group in groups], [(0, 1)])[0, 1]
    logs = [np.log(group) for group in groups]
    assert found.p == pytest.approx(stats.ttest_ind(*logs, equal_var=False).pvalue, rel=1e-9)
    pooled = np.sqrt((logs[0].var(ddof=1) + logs[1].var(ddof=1)) / 2)
    assert found.size == pytest.approx((logs[0].mean() - logs[1].mean()) / pooled * (1 - 3 / 15))


def test_means_without_spread_are_as_rare_as_a_permutation_of_their_seeds() -> None:
    found = welch_p_values(*arrays([[8.0, 8.0], [7.0, 7.0], [7.0, 7.0]]))
    assert found[0, 1] == pytest.approx(2 / math.comb(4, 2))
    assert found[1, 2] == 1
    assert welch_p_values(*arrays([[8.0] * 5, [7.0] * 5]))[0, 1] == pytest.approx(2 / math.comb(10, 5))


def test_holm_by_hand() -> None:
    # The smallest times 4, the next times 3, the next times 2, never below the one before.
    assert_allclose(holm(np.array([0.04, 0.01, 0.03, 0.005])), [0.06, 0.03, 0.06, 0.02])
    assert_allclose(holm(np.array([0.6, 0.9])), [1.0, 1.0])


def test_hedges_g_by_hand() -> None:
    # Both variances are 1, the difference is 2; the factor for 4 degrees of freedom is 1 - 3 / 15.
    found = hedges_g(*arrays([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]]))
    assert_allclose(found, [[0, -1.6], [1.6, 0]])
    assert hedges_g(*arrays([[1.0, 1.0], [2.0, 2.0]]))[1, 0] == math.inf


def test_the_best_is_compared_with_all_others() -> None:
    groups = [[5.0, 5.1, 4.9, 5.0], [1.0, 1.2, 0.9, 1.1], [1.05, 1.3, 1.0, 1.2], [math.nan], [9.0, 9.2, 8.9, 9.1]]
    intervals = [mean_interval(group) for group in groups]
    found = compare_with_best(intervals, lower_is_better=True)
    assert found is not None
    assert (found.best, found.similar, found.pairs) == (1, [2], 6)
    assert [place for place, _ in found.worse] == [0, 4]
    assert all(size > 10 for _, size in found.worse)
    highest = compare_with_best(intervals, lower_is_better=False)
    assert highest is not None
    assert (highest.best, highest.similar) == (4, [])
    assert compare_with_best([Interval.around(1.0, math.nan, 1)] * 3, lower_is_better=True) is None


def test_the_correction_makes_a_difference() -> None:
    """Two groups that differ at 5 % on their own are not told apart among many."""
    apart = [[0.0, 1.0, 2.0, 1.2, 0.8], [1.9, 2.4, 3.3, 1.2, 2.9]]
    assert 0.01 < stats.ttest_ind(*apart, equal_var=False).pvalue < 0.05
    alone = compare_with_best([mean_interval(one) for one in apart], lower_is_better=True)
    assert alone is not None
    assert alone.worse
    many = apart + [[2.0 + 0.1 * i, 3.0, 1.0, 2.5, 1.4] for i in range(4)]
    among = compare_with_best([mean_interval(one) for one in many], lower_is_better=True)
    assert among is not None
    assert among.worse == []


def test_the_error_rate_of_the_family() -> None:
    """Of 400 families of five equal methods, about 5 % or fewer show any difference from the best."""
    rng = np.random.default_rng(0)
    families = rng.normal(size=(400, 5, 5))
    compared = [compare_with_best([mean_interval(list(one)) for one in family], True) for family in families]
    assert sum(bool(one and one.worse) for one in compared) <= 0.08 * len(families)


def test_pairs_are_one_family_without_those_that_cannot_be_tested() -> None:
    """p of two pairs by SciPy; the smaller is doubled, the larger stays; an interval of one seed is in neither."""
    groups = [[5.0, 5.1, 4.9, 5.0], [1.0, 1.2, 0.9, 1.1], [4.0, 5.5, 4.2], [3.0]]
    intervals = [mean_interval(group) for group in groups]
    found = compare_pairs(intervals, [(1, 0), (2, 0), (3, 0)])
    assert list(found) == [(1, 0), (2, 0)]
    first, second = (stats.ttest_ind(groups[place], groups[0], equal_var=False).pvalue for place in (1, 2))
    assert found[1, 0].corrected == pytest.approx(2 * first)
    assert (found[2, 0].p, found[2, 0].corrected) == (pytest.approx(second), pytest.approx(second))
    assert found[1, 0].size < found[2, 0].size < 0
    assert compare_pairs(intervals, [(3, 0)]) == {}


def test_repeated_runs_are_tested_once() -> None:
    groups = [[5.0, 5.1, 4.9, 5.0], [1.0, 1.2, 0.9, 1.1], [4.0, 5.5, 4.2]]
    apart = compare_with_best([mean_interval(group) for group in groups], lower_is_better=True)
    again = compare_with_best([mean_interval(groups[place]) for place in (0, 1, 1, 2)], lower_is_better=True)
    assert apart is not None
    assert again is not None
    assert apart.pairs == again.pairs == 3
    assert (again.best, again.similar) == (1, [2])
    assert again.worse == [(3, apart.worse[0][1]), (0, apart.worse[1][1])]
    found = compare_pairs([mean_interval(groups[place]) for place in (1, 1)], [(0, 1)])
    assert found[0, 1].corrected == 1
    assert found[0, 1].family == 0


def test_methods_that_reach_the_same_limit_count_apart() -> None:
    none = mean_interval([0.005, 0.01, 0.02, 0.03, 0.01])
    zero = mean_interval([0.0] * 5)
    found = compare_pairs([none, *[zero] * 5], [(place, 0) for place in range(1, 6)])
    assert {one.family for one in found.values()} == {5}
    assert all(one.corrected == pytest.approx(min(1, 5 * one.p)) for one in found.values())
