"""Fréchet distance (Frechet distance, FID) between two samples, from the mean and covariance of each."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from lipschitz.metrics.sample_arrays import as_samples

CHUNK = 8192
"""Rows that are factorised at a time, which bounds the memory beyond the samples themselves."""


class Moments(NamedTuple):
    """Mean and covariance of samples, as a Fréchet distance needs them and the cache stores them."""

    mean: NDArray[np.float64]
    """``(d,)``."""
    factor: NDArray[np.float64]
    """R ``(r, d)``, r at most d: RᵀR is the unbiased covariance."""


def moments(x: ArrayLike) -> Moments:
    """Return the mean of ``x`` ``(n, d)`` and a factor of its unbiased covariance.

    The factor comes from a QR decomposition of the centred samples. Forming the covariance matrix and its square root
    would square the condition number.

    Raises:
        ValueError: fewer than two samples, another shape, or a number that is not finite.
    """
    x = as_samples(x)
    n, d = x.shape
    if n < 2:
        raise ValueError(f"a covariance needs at least 2 samples, got shape {x.shape}")
    mean = x.mean(axis=0)
    if n <= d:
        return Moments(mean, (x - mean) / np.sqrt(n - 1))
    factor = np.empty((0, d))
    for start in range(0, n, CHUNK):
        rows = np.concatenate([factor, x[start : start + CHUNK] - mean])
        # torch's QR is three times as fast as NumPy's.
        factor = torch.linalg.qr(torch.from_numpy(rows), mode="r").R.numpy()
    return Moments(mean, factor / np.sqrt(n - 1))


def frechet_distance(x: ArrayLike, y: ArrayLike) -> float:
    """Return the squared Fréchet distance between Gaussians with the means and covariances of ``x`` and ``y``.

    For ``x`` ``(n, d)`` and ``y`` ``(m, d)``; see `frechet_of_moments`.

    Raises:
        ValueError: fewer than two samples, dimensions differ, or a number is not finite.
    """
    x, y = as_samples(x), as_samples(y)
    if x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ValueError(
            f"a Fréchet distance needs at least 2 samples each, of the same dimension, got {x.shape} and {y.shape}"
        )
    return frechet_of_moments(moments(x), moments(y))


def frechet_of_moments(a: Moments, b: Moments) -> float:
    """Return ‖μ₁ - μ₂‖² + tr Σ₁ + tr Σ₂ - 2 tr √(Σ₁ Σ₂) for moments of the same dimension.

    Dowson and Landau 1982; Heusel et al. 2017, arXiv:1706.08500, eq. 6. With factors Σᵢ = Rᵢᵀ Rᵢ the last trace is the
    sum of the singular values of R₁ R₂ᵀ. No matrix square root is needed. So the result is real and precise also for
    fewer samples than dimensions and for samples that are all equal.
    """
    overlap = np.linalg.svd(a.factor @ b.factor.T, compute_uv=False).sum()
    traces = np.sum(a.factor**2) + np.sum(b.factor**2)
    # By rounding, a distance of zero can come out slightly negative.
    return max(0.0, float(np.sum((a.mean - b.mean) ** 2) + traces - 2 * overlap))
