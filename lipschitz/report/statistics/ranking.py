"""Ranks of methods by Welch's test or by intervals: methods that the seeds do not separate share a range of ranks."""

import numpy as np
from numpy.typing import NDArray

from lipschitz.report.number_format import MISSING
from lipschitz.report.statistics.significance import LEVEL, welch_p_values

RANK_RULE = (
    "Two methods are ranked apart only if their means over seeds differ by Welch's test at 5 %, each pair on its own. "
    "A method with k methods above it and l below it, of m, has rank k + 1 to m - l."
)
"""For captions: how `welch_signs` and `ranks` order methods."""


def ranks(signs: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return the best and the worst rank that each of m methods may have; 1 is the method with the highest value.

    Args:
        signs: ``(m, m)``: 1 where the first is above the second, -1 where it is below, 0 where neither.
    """
    above, below = (signs < 0).sum(axis=1), (signs > 0).sum(axis=1)
    return [(1 + int(better), len(signs) - int(worse)) for better, worse in zip(above, below, strict=True)]


def signs_of(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.int64]:
    """Compare intervals: for each pair of methods ``(m, m)`` 1 if the first is above, -1 if below, 0 if they overlap.

    Args:
        low: lower ends of the intervals, ``(m,)``.
        high: upper ends, ``(m,)``; for a value without uncertainty both ends are that value.
    """
    above = (low[:, None] > high[None, :]).astype(np.int64)
    return above - above.T


def welch_signs(mean: NDArray[np.float64], ci95: NDArray[np.float64], n: NDArray[np.int64]) -> NDArray[np.int64]:
    """Compare means by Welch's test: for each pair ``(m, m)`` 1 if the first is above, -1 if below, 0 if neither.

    The test is two-sided at 5 %, with unequal variances, each pair on its own. Two means may differ by it although
    their intervals overlap.

    Args:
        mean: over seeds, ``(m,)``.
        ci95: half-widths of the intervals of the means, as `half_width` returns them, ``(m,)``.
        n: seeds, two or more, ``(m,)``.

    Source: Welch 1947, Biometrika 34, The generalization of Student's problem.
    """
    difference = mean[:, None] - mean[None, :]
    differs = welch_p_values(mean, ci95, n) < LEVEL
    signs: NDArray[np.int64] = (np.sign(difference) * differs).astype(np.int64)
    return signs


def rank_text(rank: tuple[int, int] | None) -> str:
    """Return the best and the worst rank as text, ``2 to 4``; a dash where there is none."""
    if rank is None:
        return MISSING
    return str(rank[0]) if rank[0] == rank[1] else f"{rank[0]} to {rank[1]}"
