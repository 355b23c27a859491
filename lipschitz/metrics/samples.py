"""What every metric asks of its samples."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def as_samples(x: ArrayLike) -> NDArray[np.float64]:
    """Return ``x`` as float64 ``(n, d)``, n and d at least 1.

    Raises:
        ValueError: another shape, or a number that is not finite.
    """
    samples = np.asarray(x, dtype=np.float64)
    if samples.ndim != 2 or 0 in samples.shape:
        raise ValueError(f"samples must be (n, d), not {samples.shape}")
    if not np.isfinite(samples).all():
        raise ValueError("samples hold NaN or Inf")
    return samples
