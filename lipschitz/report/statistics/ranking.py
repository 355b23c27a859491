"""The order of methods: what seeds cannot tell apart is not ranked apart."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from lipschitz.report.statistics.intervals import CONFIDENCE, half_width
from lipschitz.report.tables.number_format import MISSING


def ranks(signs: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return the best and the worst rank that each of m methods may have, of which higher is better.

    Args:
        signs: ``(m, m)``: 1 where the first is above the second, -1 where it is below, 0 where neither.
    """
    above, below = (signs < 0).sum(axis=1), (signs > 0).sum(axis=1)
    return [(1 + int(better), len(signs) - int(worse)) for better, worse in zip(above, below, strict=True)]


def signs_of(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return, for each pair of methods ``(m, m)``, 1 where the first interval is above, -1 below, 0 where they meet.

    Args:
        low: lower ends of their intervals, ``(m,)``.
        high: upper ends, ``(m,)``; a value that is known is an interval of no width.
    """
    above = (low[:, None] > high[None, :]).astype(np.int64)
    return above - above.T


def welch_signs(mean: NDArray[np.float64], ci95: NDArray[np.float64], n: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return, for each pair of methods ``(m, m)``, 1 where the first is above, -1 where it is below, 0 where neither.

    Apart are two whose means differ by a two-sided test of 5 % that lets their variances differ, each pair by itself;
    their 95 % intervals may meet all the same.

    Args:
        mean: over seeds, ``(m,)``.
        ci95: half-widths of the 95 % Student-t intervals of the means, ``(m,)``.
        n: seeds, two or more, ``(m,)``.

    Source: Welch 1947, Biometrika 34, The generalization of Student's problem.
    """
    # Of a mean's interval, back to its variance.
    variance = (ci95 / half_width(np.ones_like(mean), n)) ** 2 / n
    spread = variance[:, None] + variance[None, :]
    parts = variance**2 / (n - 1)
    smallest = np.finfo(float).tiny
    freedom = np.maximum(spread**2, smallest) / np.maximum(parts[:, None] + parts[None, :], smallest)
    least = stdtrit(freedom, 0.5 + CONFIDENCE / 2) * np.sqrt(spread)
    difference = mean[:, None] - mean[None, :]
    signs: NDArray[np.int64] = (np.sign(difference) * (np.abs(difference) > least)).astype(np.int64)
    return signs


def rank_said(rank: tuple[int, int] | None) -> str:
    """Return a best and a worst rank in words; a dash where there is none."""
    if rank is None:
        return MISSING
    return str(rank[0]) if rank[0] == rank[1] else f"{rank[0]} to {rank[1]}"
