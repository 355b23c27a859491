"""Modes covered and high-quality samples of a Gaussian mixture (Srivastava et al. 2017, arXiv:1705.07761, Sec. 4.1)."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from lipschitz.metrics.sample_arrays import as_samples

RADIUS = 3
"""A sample has high quality if it lies within this many standard deviations of the nearest mode."""


def modes_covered(x: ArrayLike, centers: ArrayLike, std: float) -> int:
    """Return how many of ``centers`` ``(k, d)`` are nearest to at least one high-quality sample of ``x`` ``(n, d)``.

    ``std`` is the standard deviation of a mode along each axis.

    Raises:
        ValueError: another shape, or a number that is not finite.
    """
    nearest, good = _nearest(x, centers, std)
    return len(np.unique(nearest[good]))


def high_quality_share(x: ArrayLike, centers: ArrayLike, std: float) -> float:
    """Return the share, 0 to 1, of samples ``x`` ``(n, d)`` within 3 ``std`` of the nearest of ``centers`` ``(k, d)``.

    For samples of the mixture itself in two dimensions it is 1 - exp(-9/2) = 0.989.

    Raises:
        ValueError: another shape, or a number that is not finite.
    """
    _, good = _nearest(x, centers, std)
    return float(good.mean())


def _nearest(x: ArrayLike, centers: ArrayLike, std: float) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return for each sample the index of the nearest mode, and whether the sample has high quality."""
    distances = cdist(as_samples(x), as_samples(centers))
    return distances.argmin(axis=1), distances.min(axis=1) <= RADIUS * std
