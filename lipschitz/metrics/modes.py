"""How much of a mixture was found, and how well: Srivastava et al. 2017 (VEEGAN, arXiv:1705.07761), section 4.1."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from lipschitz.metrics.samples import as_samples

RADIUS = 3
"""A sample is of high quality within so many standard deviations of the nearest mode."""


def modes_covered(x: ArrayLike, centers: ArrayLike, std: float) -> int:
    """Return how many of ``centers`` ``(k, d)`` are nearest to at least one high-quality sample of ``x`` ``(n, d)``.

    ``std`` is the standard deviation of a mode along each axis.

    Raises:
        ValueError: a shape is not as stated, or a number is not finite.
    """
    nearest, good = _nearest(x, centers, std)
    return len(np.unique(nearest[good]))


def high_quality_share(x: ArrayLike, centers: ArrayLike, std: float) -> float:
    """Return the share, 0 to 1, of samples ``x`` ``(n, d)`` within 3 ``std`` of the nearest of ``centers`` ``(k, d)``.

    Samples of the mixture itself reach 1 - exp(-9/2) = 0.989 in the plane.

    Raises:
        ValueError: a shape is not as stated, or a number is not finite.
    """
    _, good = _nearest(x, centers, std)
    return float(good.mean())


def _nearest(x: ArrayLike, centers: ArrayLike, std: float) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return, for each sample, the index of the nearest mode and whether the sample is of high quality."""
    distances = cdist(as_samples(x), as_samples(centers))
    return distances.argmin(axis=1), distances.min(axis=1) <= RADIUS * std
