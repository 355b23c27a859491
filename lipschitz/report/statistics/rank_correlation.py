"""Spearman's rank correlation over runs, with an interval and a test that count methods, not seeds, as independent.

Seeds of one method are alike, so that n runs are fewer than n independent values. The bootstrap resamples methods, then
seeds within them (Davison and Hinkley 1997, Bootstrap Methods and their Application, section 3.8), and the permutation
test exchanges whole methods.
"""

import math
from itertools import permutations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lipschitz.report.statistics.intervals import CONFIDENCE

RESAMPLES = 2000
_MOST_EXACT = 7
"""Methods up to which the permutation test takes all permutations: 7! are 5,040."""
_FEWEST_METHODS = 3


class Correlation(NamedTuple):
    """Spearman's ρ with its interval and the two-sided p-value, NaN where there are too few methods; n runs."""

    rho: float
    low: float
    high: float
    p: float
    n: int
    methods: int


def rank_correlation(x: NDArray[np.float64], y: NDArray[np.float64], groups: NDArray[np.int64]) -> Correlation:
    """Return Spearman's ρ of the runs at which neither x nor y is NaN; values may be infinite.

    Args:
        x: one value a run, ``(n,)``.
        y: ``(n,)``.
        groups: number of each run's method, ``(n,)``.
    """
    defined = ~(np.isnan(x) | np.isnan(y))
    x, y, groups = x[defined], y[defined], groups[defined]
    blocks = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    none = Correlation(math.nan, math.nan, math.nan, math.nan, len(x), len(blocks))
    if len(x) < 2:
        return none
    rho = float(_spearman(x[None], y[None])[0])
    if len(blocks) < _FEWEST_METHODS or math.isnan(rho):
        return none._replace(rho=rho)
    low, high = _bootstrap(x, y, blocks)
    return none._replace(rho=rho, low=low, high=high, p=_permutation(x, y, blocks, rho))


def _spearman(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ρ of each row of ``(k, n)``; NaN where all values of a row are equal. Ties share their mean rank."""
    # Here, because scipy.stats takes half a second to import, and few reports have correlations.
    from scipy.stats import rankdata

    ranks = [rankdata(values, axis=1) for values in (x, y)]
    a, b = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    with np.errstate(invalid="ignore"):
        rho: NDArray[np.float64] = (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return rho


def _bootstrap(x: NDArray[np.float64], y: NDArray[np.float64], blocks: list[NDArray[np.int64]]) -> tuple[float, float]:
    """Return the percentile interval; the random numbers are the same at every call."""
    random = np.random.default_rng(0)
    seeds = max(map(len, blocks))
    sizes = np.array([len(block) for block in blocks])
    padded = np.array([np.resize(block, seeds) for block in blocks])
    chosen = random.integers(len(blocks), size=(RESAMPLES, len(blocks)))
    within = (random.random((*chosen.shape, seeds)) * sizes[chosen][..., None]).astype(int)
    index = padded[chosen[..., None], within].reshape(RESAMPLES, -1)
    low, high = np.nanquantile(_spearman(x[index], y[index]), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _permutation(x: NDArray[np.float64], y: NDArray[np.float64], blocks: list[NDArray[np.int64]], rho: float) -> float:
    """Return the share of permutations of methods whose ρ is at least as far from zero as ``rho``."""
    count = len(blocks)
    if count <= _MOST_EXACT:
        orders = np.array(list(permutations(range(count))))
    else:
        random = np.random.default_rng(0)
        orders = np.array([np.arange(count), *(random.permutation(count) for _ in range(RESAMPLES - 1))])
    moved = np.empty((len(orders), len(x)), dtype=int)
    for place, block in enumerate(blocks):
        for source in range(count):
            # Where methods have different numbers of seeds, the values of the shorter one are repeated.
            moved[np.ix_(orders[:, place] == source, block)] = np.resize(blocks[source], len(block))
    found = _spearman(x[moved], np.broadcast_to(y, moved.shape))
    return float(np.mean(np.abs(found) >= abs(rho) - 1e-12))
