"""Exact 1-Wasserstein distance (W1, optimal transport) between two samples of the same size."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from lipschitz.metrics.sample_arrays import as_samples


def wasserstein1(x: ArrayLike, y: ArrayLike) -> float:
    """Return W1 between the empirical distributions of ``x`` and ``y``, both ``(n, d)``, under the Euclidean distance.

    For two samples of equal size an optimal plan is a permutation (Peyré and Cuturi 2019, arXiv:1803.00567,
    proposition 2.1). So it is an assignment problem, which is solved exactly in O(n³) time and O(n²) memory. On average
    the result is larger than the distance between the two distributions. Compare it with the distance between two real
    samples of the same size.

    Raises:
        ValueError: shapes differ, are not ``(n, d)``, or a number is not finite.
    """
    x, y = as_samples(x), as_samples(y)
    if x.shape != y.shape:
        raise ValueError(f"W1 needs two samples of the same shape (n, d), got {x.shape} and {y.shape}")
    distances = cdist(x, y)
    return float(np.mean(distances[linear_sum_assignment(distances)]))
