"""The Fréchet distance between samples, each summed up by its mean and covariance."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from lipschitz.metrics.samples import as_samples

CHUNK = 8192
"""Rows that are factored at a time, so that memory beyond the samples themselves stays bounded."""


class Moments(NamedTuple):
    """What a Fréchet distance needs to know of samples, and what is kept of real ones."""

    mean: NDArray[np.float64]
    """``(d,)``."""
    factor: NDArray[np.float64]
    """R ``(r, d)``, r at most d, with RᵀR the unbiased covariance."""

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Unbiased covariance ``(d, d)``."""
        return self.factor.T @ self.factor


def moments(x: ArrayLike) -> Moments:
    """Return mean and covariance of ``x`` ``(n, d)``, the latter as a factor.

    A factor is found without squaring the condition number, which a covariance matrix and its root would do.

    Raises:
        ValueError: fewer than two samples, another shape, or a number that is not finite.
    """
    x = as_samples(x)
    n, d = x.shape
    if n < 2:
        raise ValueError(f"a covariance takes two or more samples, not {x.shape}")
    mean = x.mean(axis=0)
    if n <= d:
        return Moments(mean, (x - mean) / np.sqrt(n - 1))
    factor = np.empty((0, d))
    for start in range(0, n, CHUNK):
        rows = np.concatenate([factor, x[start : start + CHUNK] - mean])
        # Three times as fast as NumPy's.
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
        raise ValueError(f"a Fréchet distance takes two or more samples of one dimension, not {x.shape} and {y.shape}")
    return frechet_of_moments(moments(x), moments(y))


def frechet_of_moments(a: Moments, b: Moments) -> float:
    """Return ‖μ₁ - μ₂‖² + tr Σ₁ + tr Σ₂ - 2 tr √(Σ₁ Σ₂), moments of one dimension.

    Dowson and Landau 1982; Heusel et al. 2017, arXiv:1706.08500, eq. 6. With factors Σᵢ = Rᵢᵀ Rᵢ the last trace is the
    sum of the singular values of R₁ R₂ᵀ: no matrix square root, so that fewer samples than dimensions, or samples that
    all coincide, cost no precision and stay real.
    """
    overlap = np.linalg.svd(a.factor @ b.factor.T, compute_uv=False).sum()
    traces = np.sum(a.factor**2) + np.sum(b.factor**2)
    # Rounding can leave a distance of zero just below zero.
    return max(0.0, float(np.sum((a.mean - b.mean) ** 2) + traces - 2 * overlap))
