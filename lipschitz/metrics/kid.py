"""The Kernel Inception Distance: an unbiased squared maximum mean discrepancy with a cubic kernel."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from lipschitz.metrics.pairs import Sample, as_pair, over_pairs


class Kid(NamedTuple):
    """Mean over subsets, and how sure it is of that mean as far as the choice of subsets goes."""

    mean: float
    """Unbiased, and so below zero at times where the distributions are one."""
    standard_error: float
    """Of the mean over subsets drawn from the samples given; NaN of one subset. Says nothing of other samples."""


def kid(
    fake: ArrayLike,
    real: ArrayLike,
    *,
    subsets: int = 1,
    size: int | None = None,
    rng: np.random.Generator | None = None,
) -> Kid:
    """Return the unbiased MMD² of ``fake`` ``(n, d)`` and ``real`` ``(m, d)``, kernel (x·y / d + 1)³.

    Bińkowski et al. 2018, arXiv:1801.01401, section 4 and eq. 4. Each of ``subsets`` is ``size`` samples of either
    kind, drawn by ``rng`` without replacement. Without ``size`` the one subset is all there is, n and m need not be
    equal, and nothing is drawn.

    Raises:
        ValueError: fewer than two samples or than ``size``, dimensions differ, or a number is not finite.
    """
    fake, real = as_pair(fake, real)
    sums = KernelSums(len(fake), len(real), fake.shape[1], subsets=subsets, size=size, rng=rng)
    over_pairs(fake, real, [sums])
    return sums.kid()


class KernelSums:
    """Sums of the kernel over the pairs of each subset, for samples of ``fake`` and ``real`` rows.

    Arguments and errors are those of `kid`; ``dimension`` is d.
    """

    def __init__(
        self, fake: int, real: int, dimension: int, *, subsets: int, size: int | None, rng: np.random.Generator | None
    ) -> None:
        if min(fake, real) < max(2, size or 2):
            raise ValueError(f"a KID of subsets of {size or 2} takes as many samples, not {fake} and {real}")
        if size is not None and (rng is None or size < 2 or subsets < 1):
            raise ValueError(f"drawing {subsets} subsets of {size} takes a generator, one subset and two samples")
        self._dimension = dimension
        self._masks: dict[Sample, Tensor] = {
            "fake": _masks(fake, subsets, size, rng),
            "real": _masks(real, subsets, size, rng),
        }
        self._within: dict[Sample, Tensor] = {name: mask.new_zeros(mask.shape[1]) for name, mask in self._masks.items()}
        self._between = self._within["fake"].clone()

    def within(self, sample: Sample, rows: slice, products: Tensor) -> None:
        """Take the products of ``rows`` of a sample with these and all after them; none counts with itself."""
        kernel, mask = self._kernel(products), self._masks[sample]
        own, after = kernel[:, : len(kernel)], kernel[:, len(kernel) :]
        own.fill_diagonal_(0)
        # Those after are met here alone, and stand for both orders.
        sums = own @ mask[rows] + 2 * (after @ mask[rows.stop :])
        self._within[sample] += (sums * mask[rows]).sum(dim=0)

    def between(self, rows: slice, products: Tensor) -> None:
        """Take the products of ``rows`` of the generated sample with all real ones."""
        masks = self._masks
        self._between += ((self._kernel(products) @ masks["real"]) * masks["fake"][rows]).sum(dim=0)

    def kid(self) -> Kid:
        """Return the mean over subsets and its standard error."""
        n, m = (self._masks[name].sum(dim=0) for name in ("fake", "real"))
        fake, real = self._within["fake"] / (n * (n - 1)), self._within["real"] / (m * (m - 1))
        values = fake + real - 2 * self._between / (n * m)
        error = float(values.std()) / len(values) ** 0.5 if len(values) > 1 else float("nan")
        return Kid(float(values.mean()), error)

    def _kernel(self, products: Tensor) -> Tensor:
        return torch.add(products.new_ones(()), products, alpha=1 / self._dimension).pow_(3)


def _masks(n: int, subsets: int, size: int | None, rng: np.random.Generator | None) -> Tensor:
    """Return, one column a subset, 1 for each of its members, ``(n, subsets)``."""
    if size is None or rng is None:
        return torch.ones(n, 1, dtype=torch.float64)
    masks = np.zeros((n, subsets))
    for subset in range(subsets):
        masks[rng.choice(n, size, replace=False), subset] = 1
    return torch.from_numpy(masks)
