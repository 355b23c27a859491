"""Which methods differ significantly: Welch's test of pairs, corrected by Holm, with the effect's size."""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import binom, stdtr

from lipschitz.report.statistics.intervals import CONFIDENCE, Interval, half_width

LEVEL = round(1 - CONFIDENCE, 10)
"""Probability of any false difference among all pairs that were tested together."""


class Compared(NamedTuple):
    """The method with the best mean, and how every other one compares with it."""

    best: int
    """Place of the best mean among the intervals."""
    worse: list[tuple[int, float]]
    """Places of the methods that are significantly worse, by their means, and Hedges' g of the difference."""
    similar: list[int]
    """Places of the methods that are not significantly worse, by their means."""
    pairs: int
    """Number of pairs that the correction is for, without repetitions: see `compare_pairs`."""


class PairTest(NamedTuple):
    """Welch's test of two means, and Hedges' g of the first less the second; ``corrected`` is p by Holm's procedure."""

    p: float
    corrected: float
    size: float
    family: int
    """Number of different tests that the correction is for."""


def compare_pairs(intervals: Sequence[Interval], pairs: Sequence[tuple[int, int]]) -> dict[tuple[int, int], PairTest]:
    """Test the two means of each pair of places in ``intervals``; the tests are corrected as one family.

    Geometric means are tested, and their difference is measured, by the logarithms of the values.

    A pair with an interval of fewer than two seeds, or without a finite mean, is neither tested nor counted. Methods
    with equal means and intervals have equal tests, which are counted once; a test of one with the other is not
    counted. On layers without convolutions two forms of spectral normalization are such methods. Methods whose seeds
    all have the same value count apart: different methods may reach the same limit, such as an accuracy of zero.
    """
    usable = _usable(intervals)
    at = {place: index for index, place in enumerate(usable)}
    tested = [pair for pair in pairs if at.keys() >= set(pair)]
    if not tested:
        return {}
    mean, ci95, n = (np.array([getattr(intervals[place], name) for place in usable]) for name in _FIELDS)
    samples = _Samples(mean, _variances(ci95, n), n)
    first, second = (samples.at(places) for places in np.array([(at[one], at[other]) for one, other in tested]).T)
    p_values, sizes = _welch(first, second), _hedges(first, second)
    seen: dict[Interval, int] = {}
    same = {place: seen.setdefault(one, place) if (one := intervals[place]).half_width else place for place in usable}
    different = [frozenset((same[one], same[other])) for one, other in tested]
    rows = {pair: row for row, pair in enumerate(different) if len(pair) == 2}
    corrected = dict(zip(rows, holm(p_values[list(rows.values())]).tolist(), strict=True))
    numbers = zip(p_values.tolist(), (corrected.get(pair, 1.0) for pair in different), sizes.tolist(), strict=True)
    return {pair: PairTest(*found, len(rows)) for pair, found in zip(tested, numbers, strict=True)}


def compare_with_best(intervals: Sequence[Interval], lower_is_better: bool) -> Compared | None:
    """Compare each mean with the best one; None if fewer than two of the ``intervals`` have two or more seeds.

    All pairs are tested, not only those with the best: which one is the best was seen in the same seeds. Intervals of
    fewer than two seeds, or without a finite mean, are left out.
    """
    sign = 1 if lower_is_better else -1
    order = sorted(_usable(intervals), key=lambda place: sign * intervals[place].mean)
    tests = compare_pairs(intervals, list(combinations(order, 2)))
    if not tests:
        return None
    best, *others = order
    worse = [(other, abs(tests[best, other].size)) for other in others if tests[best, other].corrected < LEVEL]
    similar = [other for other in others if tests[best, other].corrected >= LEVEL]
    return Compared(best, worse, similar, tests[best, others[0]].family)


BOLD = (
    "not significantly worse than the best {what} by Welch's test at 5 %, with Holm's correction for all pairs; with a "
    "diverged or failed seed, or one seed, a method is neither tested nor bold"
)
"""For captions: which cells are bold."""


def best_or_similar(intervals: Sequence[Interval], lower_is_better: bool) -> list[int]:
    """Return the places of the best mean and of those that are not significantly worse; none if nothing is tested."""
    compared = compare_with_best(intervals, lower_is_better)
    return [compared.best, *compared.similar] if compared else []


_FIELDS = ("centre", "half_width", "n")


def _usable(intervals: Sequence[Interval]) -> list[int]:
    """Return the places of means of two or more seeds."""
    return [place for place, one in enumerate(intervals) if one.n > 1 and math.isfinite(one.mean) and one.has_ends]


def welch_p_values(mean: NDArray[np.float64], ci95: NDArray[np.float64], n: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the two-sided p-value of Welch's test for each pair ``(m, m)``, without correction; 1 on the diagonal.

    Args:
        mean: over seeds, ``(m,)``.
        ci95: half-widths of the intervals of the means, as `half_width` returns them, ``(m,)``.
        n: seeds, two or more, ``(m,)``.

    Source: Welch 1947, Biometrika 34, The generalization of Student's problem.
    """
    samples = _Samples(mean, _variances(ci95, n), n)
    return _welch(samples.at(np.s_[:, None]), samples.at(np.s_[None, :]))


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values ``(k,)`` corrected for k tests: below α where the step-down procedure rejects at level α.

    Source: Holm 1979, Scandinavian Journal of Statistics 6, A simple sequentially rejective multiple test procedure.
    """
    order = np.argsort(p_values, kind="stable")
    steps = np.minimum(1.0, p_values[order] * np.arange(len(p_values), 0, -1))
    corrected = np.empty_like(p_values)
    corrected[order] = np.maximum.accumulate(steps)
    return corrected


def hedges_g(mean: NDArray[np.float64], ci95: NDArray[np.float64], n: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return, for each pair ``(m, m)``, the difference of means in pooled standard deviations.

    It is corrected for the bias of few seeds, and infinite where two different means have no spread. Arguments are
    those of `welch_p_values`.

    Source: Hedges 1981, Journal of Educational Statistics 6, eq. 6e: the factor 1 - 3 / (4 (n₁ + n₂ - 2) - 1).
    """
    samples = _Samples(mean, _variances(ci95, n), n)
    return _hedges(samples.at(np.s_[:, None]), samples.at(np.s_[None, :]))


class _Samples(NamedTuple):
    """Means, variances and numbers of seeds."""

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    n: NDArray[np.int64]

    def at(self, index: Any) -> "_Samples":
        return _Samples(self.mean[index], self.variance[index], self.n[index])


def _welch(one: _Samples, other: _Samples) -> NDArray[np.float64]:
    """Return the two-sided p-values of pairs, whose shapes are broadcast.

    Welch's test is not defined for two methods without any spread. Where their means differ, p is that of a permutation
    test: 2 / C(n₁ + n₂, n₁), a third for two seeds each. Where they are equal it is one.
    """
    smallest = np.finfo(float).tiny
    shares = one.variance / one.n, other.variance / other.n
    spread = shares[0] + shares[1]
    parts = shares[0] ** 2 / (one.n - 1) + shares[1] ** 2 / (other.n - 1)
    freedom = np.maximum(spread**2, smallest) / np.maximum(parts, smallest)
    difference = np.abs(one.mean - other.mean)
    t = np.where(difference > 0, difference / np.sqrt(np.maximum(spread, smallest)), 0.0)
    permutation = np.where(difference > 0, 2 / binom(one.n + other.n, one.n), 1.0)
    p_values: NDArray[np.float64] = np.where(spread > 0, 2 * stdtr(freedom, -t), permutation)
    return p_values


def _hedges(one: _Samples, other: _Samples) -> NDArray[np.float64]:
    """Return Hedges' g of the first less the second of pairs, whose shapes are broadcast."""
    freedom = one.n + other.n - 2
    pooled = np.sqrt((one.variance * (one.n - 1) + other.variance * (other.n - 1)) / freedom)
    difference = one.mean - other.mean
    with np.errstate(divide="ignore", invalid="ignore"):
        sizes = np.where(difference == 0, 0.0, difference / pooled)
    corrected: NDArray[np.float64] = sizes * (1 - 3 / (4 * freedom - 1))
    return corrected


def _variances(ci95: NDArray[np.float64], n: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the variances over seeds ``(m,)``: the half-widths of the intervals are proportional to their roots."""
    variances: NDArray[np.float64] = (ci95 / half_width(np.ones_like(ci95), n)) ** 2
    return variances
