"""Probability of improvement: that a run of one method is better than a run of another (Agarwal et al. 2021)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from lipschitz.report.statistics.intervals import CONFIDENCE

_NORMAL_QUANTILE = float(ndtri(0.5 + CONFIDENCE / 2))
_EDGE = 1e-9


class Improvement(NamedTuple):
    """A probability of improvement with the ends of its interval; 0.5 where no method is better."""

    probability: float
    low: float
    high: float


def probability_of_improvement(
    pairs: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]], lower_is_better: Sequence[bool]
) -> Improvement:
    """Return the mean, over places, of the probability that a run of the first method is better than one of the second.

    At one place it is the share of pairs of runs in which the first is better; equal values count as a half (Mann and
    Whitney 1947). Values may be infinite, as those of runs that diverged. The interval is by the score method of
    Newcombe 2006, Statistics in Medicine 25, 559-573 (method 5), with the variance of a mean over independent places.
    It does not shrink to a point where all runs of one method are better. Where the probability differs from place to
    place the interval is too wide, because a mean of several has less variance.

    Args:
        pairs: by place, the values of the first method's runs, ``(n,)``, and those of the second's, ``(m,)``.
        lower_is_better: by place, whether a lower value is better.

    Source: Agarwal et al. 2021, arXiv:2108.13264, Sec. 4.3.
    """
    shares = [
        share_below(*pair) if lower else share_below(*reversed(pair))
        for pair, lower in zip(pairs, lower_is_better, strict=True)
    ]
    probability = float(np.mean(shares))
    sizes = [(len(first), len(second)) for first, second in pairs]
    return Improvement(probability, *_score_interval(probability, sizes))


def share_below(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the share of pairs of a value of ``first`` and one of ``second`` in which the first is lower.

    Equal values count as a half. Values ``(n,)`` and ``(m,)`` may be infinite, but not NaN.
    """
    ordered = np.sort(first)
    below, up_to = (np.searchsorted(ordered, second, side) for side in ("left", "right"))
    return float(np.mean(below + up_to)) / (2 * len(first))


def _score_interval(probability: float, sizes: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """Return the values θ from which ``probability`` is as far as the normal quantile times the root of its variance.

    The variance at θ is that of Hanley and McNeil 1982, but with the mean of both sample sizes in place of each.
    """

    # Here, because scipy.optimize takes a seventh of a second to import, and few reports need it.
    from scipy.optimize import brentq

    def excess(theta: float) -> float:
        variance = sum(_variance(theta, *pair) for pair in sizes) / len(sizes) ** 2
        return (probability - theta) ** 2 - _NORMAL_QUANTILE**2 * variance

    # Zero and one are roots of their own, where the variance is zero.
    inside = min(max(probability, _EDGE), 1 - _EDGE)
    low = brentq(excess, 0.0, inside) if probability > 0 else 0.0
    high = brentq(excess, inside, 1.0) if probability < 1 else 1.0
    return float(low), float(high)


def _variance(theta: float, n: int, m: int) -> float:
    others = (n + m) / 2 - 1
    spread = 1 + others * ((1 - theta) / (2 - theta) + theta / (1 + theta))
    return theta * (1 - theta) * spread / (n * m)
