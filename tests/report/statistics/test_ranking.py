"""Ranks by Welch's test, checked against SciPy, and the comparison of two orders."""

import numpy as np
import pytest
from scipy.stats import ttest_ind

from lipschitz.report.published.ranks import compare
from lipschitz.report.statistics.intervals import half_width
from lipschitz.report.statistics.ranking import rank_text, ranks, signs_of, welch_signs


def signs(*groups: list[float]) -> np.ndarray:
    n = np.array([len(group) for group in groups])
    deviations = np.array([np.std(group, ddof=1) for group in groups])
    return welch_signs(np.array([np.mean(group) for group in groups]), half_width(deviations, n), n)


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 8.0])
@pytest.mark.parametrize("sizes", [(3, 3), (2, 5), (4, 3)])
def test_two_methods_differ_as_by_welchs_test_of_scipy(shift: float, sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(shift, 1, sizes[0]), rng.normal(0, 0.2, sizes[1])
    is_apart = ttest_ind(first, second, equal_var=False).pvalue < 0.05
    expected = int(np.sign(first.mean() - second.mean())) * is_apart
    assert signs(list(first), list(second)).tolist() == [[0, expected], [-expected, 0]]


def test_methods_with_overlapping_intervals_may_differ() -> None:
    low, high = [0.137, 0.157, 0.177], [0.188, 0.208, 0.228]
    widths = half_width(np.array([0.02, 0.02]), np.array([3, 3]))
    assert np.mean(low) + widths[0] > np.mean(high) - widths[1]
    assert signs(high, low).tolist() == [[0, 1], [-1, 0]]


def test_without_variance_four_seeds_are_told_apart_and_two_are_not() -> None:
    assert signs([1.0] * 4, [2.0] * 4, [1.0] * 4).tolist() == [[0, -1, 0], [1, 0, 1], [0, -1, 0]]
    assert not signs([1.0, 1.0], [2.0, 2.0]).any()


def test_methods_with_overlapping_intervals_share_ranks() -> None:
    """A is above all, B overlaps C, C overlaps D, and D lies wholly below B."""
    low, high = np.array([0.9, 0.6, 0.5, 0.4]), np.array([0.95, 0.7, 0.65, 0.55])
    assert ranks(signs_of(low, high)) == [(1, 1), (2, 3), (2, 4), (3, 4)]
    touching = np.array([0.5, 0.3]), np.array([0.7, 0.5])
    assert ranks(signs_of(*touching)) == [(1, 2), (1, 2)], "intervals with a common end overlap"
    published_values = np.array([0.949, 0.949, 0.964])
    assert ranks(signs_of(published_values, published_values)) == [(2, 3), (2, 3), (1, 1)]


@pytest.mark.parametrize(("rank", "text"), [((2, 2), "2"), ((2, 4), "2 to 4"), (None, "–")])
def test_a_rank_as_text(rank: tuple[int, int] | None, text: str) -> None:
    assert rank_text(rank) == text


def test_pairs_in_two_orders_are_alike_reversed_or_not_significant() -> None:
    low, high = np.array([0.9, 0.6, 0.5, 0.4]), np.array([0.95, 0.7, 0.65, 0.55])
    ours, theirs = signs_of(low, high), np.array([0.1, 0.2, 0.3, 0.2])
    order = compare(signs_of(theirs, theirs), ours)
    # A is below B, C and D there and above them here; B and D are equal there; B and C, C and D overlap here.
    assert order == (0, 3, [(0, 1), (0, 2), (0, 3)])
    falling = np.array([4.0, 3.0, 2.0, 1.0])
    assert compare(signs_of(falling, falling), ours) == (4, 2, [])
