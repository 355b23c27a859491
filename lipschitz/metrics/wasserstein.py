"""The exact 1-Wasserstein distance between samples."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from lipschitz.metrics.samples import as_samples


def wasserstein1(x: ArrayLike, y: ArrayLike) -> float:
    """Return W1 between the empirical distributions of ``x`` and ``y``, both ``(n, d)``, under the Euclidean distance.

    Between equally many samples some optimal plan is a permutation (Peyré and Cuturi 2019, arXiv:1803.00567,
    proposition 2.1): the assignment problem, solved exactly in O(n³) time and O(n²) memory. On average it exceeds the
    distance between the distributions that were sampled: compare it with that of as many real samples to real ones.

    Raises:
        ValueError: shapes differ, are not ``(n, d)``, or a number is not finite.
    """
    x, y = as_samples(x), as_samples(y)
    if x.shape != y.shape:
        raise ValueError(f"W1 takes equally many samples of one dimension, not {x.shape} and {y.shape}")
    distances = cdist(x, y)
    return float(np.mean(distances[linear_sum_assignment(distances)]))
