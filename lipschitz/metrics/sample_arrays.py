"""Check the samples given to a metric: convert them to finite float64 arrays or tensors (n, d), or raise ValueError."""

from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

Floats = NDArray[np.float64]
Samples: TypeAlias = ArrayLike | Tensor
"""Samples ``(n, d)``, as a metric is given them."""


def as_samples(x: Samples) -> Floats:
    """Return ``x`` as a float64 array ``(n, d)``, n and d at least 1.

    Raises:
        ValueError: another shape, or a number that is not finite.
    """
    samples = np.asarray(x, dtype=np.float64)
    _check(samples.shape)
    if not np.isfinite(samples).all():
        raise ValueError(_NOT_FINITE)
    return samples


def as_sample_tensor(x: Samples) -> Tensor:
    """Return ``x`` as a float64 tensor ``(n, d)``, n and d at least 1: a tensor on its device, all else on the CPU.

    Raises:
        ValueError: another shape, or a number that is not finite.
    """
    if not isinstance(x, Tensor) or x.is_cpu:
        # A tensor needs memory that can be written to, in the order of C.
        return torch.from_numpy(np.require(as_samples(x), requirements=["C", "W"]))
    _check(x.shape)
    if not x.isfinite().all():
        raise ValueError(_NOT_FINITE)
    return x.double()


def as_two_samples(fake: Samples, real: Samples) -> tuple[Tensor, Tensor]:
    """Return generated and real samples as float64 tensors ``(n, d)`` and ``(m, d)``; see `as_sample_tensor`.

    Raises:
        ValueError: dimensions differ, another shape, or a number that is not finite.
    """
    one, other = as_sample_tensor(fake), as_sample_tensor(real)
    if one.shape[1] != other.shape[1]:
        raise ValueError(f"expected samples of the same dimension, got {tuple(one.shape)} and {tuple(other.shape)}")
    return one, other


_NOT_FINITE = "samples contain NaN or Inf"


def _check(shape: tuple[int, ...]) -> None:
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"expected samples of shape (n, d) with n, d >= 1, got {tuple(shape)}")
