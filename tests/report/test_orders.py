"""Which methods are apart: Welch's test against SciPy's, and what two meeting intervals do not say."""

import numpy as np
import pytest
from scipy.stats import ttest_ind

from lipschitz.report.orders import welch_signs
from lipschitz.report.statistics import half_width


def signs(*groups: list[float]) -> np.ndarray:
    n = np.array([len(group) for group in groups])
    deviations = np.array([np.std(group, ddof=1) for group in groups])
    return welch_signs(np.array([np.mean(group) for group in groups]), half_width(deviations, n), n)


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 8.0])
@pytest.mark.parametrize("sizes", [(3, 3), (2, 5), (4, 3)])
def test_two_are_apart_where_welchs_test_says_so(shift: float, sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(shift, 1, sizes[0]), rng.normal(0, 0.2, sizes[1])
    is_apart = ttest_ind(first, second, equal_var=False).pvalue < 0.05
    expected = int(np.sign(first.mean() - second.mean())) * is_apart
    assert signs(list(first), list(second)).tolist() == [[0, expected], [-expected, 0]]


def test_two_whose_intervals_meet_may_be_apart() -> None:
    low, high = [0.137, 0.157, 0.177], [0.188, 0.208, 0.228]
    widths = half_width(np.array([0.02, 0.02]), np.array([3, 3]))
    assert np.mean(low) + widths[0] > np.mean(high) - widths[1]
    assert signs(high, low).tolist() == [[0, 1], [-1, 0]]


def test_without_spread_any_difference_counts() -> None:
    assert signs([1.0, 1.0], [2.0, 2.0], [1.0, 1.0]).tolist() == [[0, -1, 0], [1, 0, 1], [0, -1, 0]]
