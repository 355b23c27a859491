"""Fréchet distance (Frechet distance, FID) between two samples, from the mean and covariance of each."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from lipschitz.metrics.float64_arithmetic import column_means, nuclear_norm, product, sum_of_squares
from lipschitz.metrics.sample_arrays import Samples, as_sample_tensor, as_two_samples

CHUNK = 8192
"""Rows that are factorised at a time, which bounds the memory beyond the samples themselves."""


class Moments(NamedTuple):
    """Mean and covariance of samples, as a Fréchet distance needs them and the cache stores them; both float64."""

    mean: Tensor
    """``(d,)``."""
    factor: Tensor
    """R ``(r, d)``, r at most d: RᵀR is the unbiased covariance."""

    def to(self, device: torch.device) -> "Moments":
        """Return the same on ``device``."""
        return Moments(self.mean.to(device), self.factor.to(device))


def moments(x: Samples) -> Moments:
    """Return the mean of ``x`` ``(n, d)`` and a factor of its unbiased covariance, on the device of ``x``.

    The factor comes from a QR decomposition of the centred samples. Forming the covariance matrix and its square root
    would square the condition number.

    Raises:
        ValueError: fewer than two samples, another shape, or a number that is not finite.
    """
    samples = as_sample_tensor(x)
    n, d = samples.shape
    if n < 2:
        raise ValueError(f"a covariance needs at least 2 samples, got shape {tuple(samples.shape)}")
    mean = column_means(samples)
    if n <= d:
        return Moments(mean, (samples - mean) / math.sqrt(n - 1))
    factor = samples.new_empty(0, d)
    for rows in torch.split(samples, CHUNK):
        # On the CPU torch's QR is three times as fast as NumPy's.
        factor = torch.linalg.qr(torch.cat([factor, rows - mean]), mode="r").R
    return Moments(mean, factor / math.sqrt(n - 1))


def frechet_distance(x: Samples, y: Samples) -> float:
    """Return the squared Fréchet distance between Gaussians with the means and covariances of ``x`` and ``y``.

    For ``x`` ``(n, d)`` and ``y`` ``(m, d)``; see `frechet_of_moments`.

    Raises:
        ValueError: fewer than two samples, dimensions differ, or a number is not finite.
    """
    one, other = as_two_samples(x, y)
    if min(len(one), len(other)) < 2:
        found = f"{tuple(one.shape)} and {tuple(other.shape)}"
        raise ValueError(f"a Fréchet distance needs at least 2 samples each, got {found}")
    return frechet_of_moments(moments(one), moments(other))


def frechet_of_moments(a: Moments, b: Moments) -> float:
    """Return ‖μ₁ - μ₂‖² + tr Σ₁ + tr Σ₂ - 2 tr √(Σ₁ Σ₂) for moments of the same dimension, on one device.

    Dowson and Landau 1982; Heusel et al. 2017, arXiv:1706.08500, eq. 6. With factors Σᵢ = Rᵢᵀ Rᵢ the last trace is the
    sum of the singular values of R₁ R₂ᵀ. No matrix square root is needed. So the result is real and precise also for
    fewer samples than dimensions and for samples that are all equal.
    """
    overlap = nuclear_norm(product(a.factor, b.factor.T))
    traces = sum_of_squares(a.factor) + sum_of_squares(b.factor)
    # By rounding, a distance of zero can come out slightly negative.
    return max(0.0, sum_of_squares(a.mean - b.mean) + traces - 2 * overlap)
