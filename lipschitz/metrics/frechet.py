"""The Fréchet distance between samples, each summed up by its mean and covariance."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipschitz.metrics.samples import as_samples


def frechet_distance(x: ArrayLike, y: ArrayLike) -> float:
    """Return the squared Fréchet distance between Gaussians with the means and covariances of ``x`` and ``y``.

    ‖μ₁ - μ₂‖² + tr Σ₁ + tr Σ₂ - 2 tr √(Σ₁ Σ₂) for ``x`` ``(n, d)`` and ``y`` ``(m, d)``, covariances unbiased (Dowson
    and Landau 1982; Heusel et al. 2017, arXiv:1706.08500, eq. 6). With factors Σᵢ = Rᵢᵀ Rᵢ the last trace is the sum of
    the singular values of R₁ R₂ᵀ: no matrix square root, so that fewer samples than dimensions, or samples that all
    coincide, cost no precision and stay real.

    Raises:
        ValueError: fewer than two samples, dimensions differ, or a number is not finite.
    """
    x, y = as_samples(x), as_samples(y)
    if x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ValueError(f"a Fréchet distance takes two or more samples of one dimension, not {x.shape} and {y.shape}")
    r1, r2 = _covariance_factor(x), _covariance_factor(y)
    overlap = np.linalg.svd(r1 @ r2.T, compute_uv=False).sum()
    means = np.sum((x.mean(axis=0) - y.mean(axis=0)) ** 2)
    # Rounding can leave a distance of zero just below zero.
    return max(0.0, float(means + np.sum(r1**2) + np.sum(r2**2) - 2 * overlap))


def _covariance_factor(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return R ``(min(n, d), d)`` with RᵀR the unbiased covariance of ``x`` ``(n, d)``."""
    centred = (x - x.mean(axis=0)) / np.sqrt(len(x) - 1)
    return np.linalg.qr(centred).R
