"""The order of methods: what seeds cannot tell apart is not ranked apart."""

import numpy as np
from numpy.typing import NDArray

from lipschitz.report.digits import MISSING


def ranks(low: NDArray[np.float64], high: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return the best and the worst rank that each of several methods may have, of which higher is better.

    Args:
        low: lower ends of their intervals, ``(m,)``.
        high: upper ends, ``(m,)``; a value that is known is an interval of no width.
    """
    above = (low[None, :] > high[:, None]).sum(axis=1)
    below = (high[None, :] < low[:, None]).sum(axis=1)
    return [(1 + int(better), len(low) - int(worse)) for better, worse in zip(above, below, strict=True)]


def signs(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return, for each pair of methods ``(m, m)``, 1 where the first is above, -1 where it is below, 0 where neither.

    Args:
        low: lower ends of their intervals, ``(m,)``.
        high: upper ends, ``(m,)``.
    """
    above = (low[:, None] > high[None, :]).astype(np.int64)
    return above - above.T


def rank_said(rank: tuple[int, int] | None) -> str:
    """Return a best and a worst rank in words; a dash where there is none."""
    if rank is None:
        return MISSING
    return str(rank[0]) if rank[0] == rank[1] else f"{rank[0]} to {rank[1]}"
