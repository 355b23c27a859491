"""Check the samples given to a metric: convert them to finite float64 arrays (n, d), or raise a ValueError."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def as_samples(x: ArrayLike) -> Floats:
    """Return ``x`` as float64 ``(n, d)``, n and d at least 1.

    Raises:
        ValueError: another shape, or a number that is not finite.
    """
    samples = np.asarray(x, dtype=np.float64)
    if samples.ndim != 2 or 0 in samples.shape:
        raise ValueError(f"expected samples of shape (n, d) with n, d >= 1, got {samples.shape}")
    if not np.isfinite(samples).all():
        raise ValueError("samples contain NaN or Inf")
    return samples


def as_two_samples(fake: ArrayLike, real: ArrayLike) -> tuple[Floats, Floats]:
    """Return generated and real samples as float64 ``(n, d)`` and ``(m, d)``.

    Raises:
        ValueError: dimensions differ, another shape, or a number that is not finite.
    """
    fake, real = as_samples(fake), as_samples(real)
    if fake.shape[1] != real.shape[1]:
        raise ValueError(f"expected samples of the same dimension, got {fake.shape} and {real.shape}")
    return fake, real
