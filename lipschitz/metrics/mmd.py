"""Kernel Inception Distance (KID): unbiased squared maximum mean discrepancy (MMD) with a cubic kernel."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lipschitz.metrics.float64_arithmetic import product
from lipschitz.metrics.inner_products import CentredSamples, SampleName, add_inner_products, centred
from lipschitz.metrics.sample_arrays import Samples, as_two_samples


class Kid(NamedTuple):
    """Mean of the KID over subsets, and its standard error with respect to the choice of subsets."""

    mean: float
    """Unbiased, so it may be negative if both distributions are equal."""
    standard_error: float
    """Of the mean over subsets of the given samples; NaN for one subset. It does not cover the draw of the samples."""


def kid(
    fake: Samples,
    real: Samples,
    *,
    subsets: int = 1,
    size: int | None = None,
    rng: np.random.Generator | None = None,
) -> Kid:
    """Return the unbiased MMD² of ``fake`` ``(n, d)`` and ``real`` ``(m, d)``, kernel (x·y / d + 1)³.

    Bińkowski et al. 2018, arXiv:1801.01401, section 4 and eq. 4. Each of the ``subsets`` holds ``size`` fake and
    ``size`` real samples, drawn by ``rng`` without replacement. If ``size`` is None, the only subset holds all samples,
    n and m may differ, and nothing is drawn.

    Raises:
        ValueError: fewer than two samples or than ``size``, dimensions differ, or a number is not finite.
    """
    samples = centred(*as_two_samples(fake, real))
    sums = KernelSums(samples, subsets=subsets, size=size, rng=rng)
    add_inner_products(samples, [sums])
    return sums.kid()


def kernel_sums(samples: CentredSamples, subsets: int, size: int) -> "KernelSums":
    """Return the sums for ``subsets`` random subsets of ``size``; for one subset of all, of samples no larger than it.

    The subsets are the same at every call, so the KID changes only with the samples.
    """
    if min(len(samples.fake), len(samples.real)) <= size:
        return KernelSums(samples, subsets=1, size=None, rng=None)
    return KernelSums(samples, subsets=subsets, size=size, rng=np.random.default_rng(0))


class KernelSums:
    """Sums of the kernel over all pairs of samples in each subset; a `BlockMetric`.

    With x = c + x' and y = c + y' the kernel is (a + e)³, where a = 1 + c·c / d, and e is small. The sums leave out a³,
    which is the same for all pairs and cancels in the MMD², so that its digits do not hide those of the rest. Arguments
    and errors are as in `kid`.
    """

    def __init__(
        self, samples: CentredSamples, *, subsets: int, size: int | None, rng: np.random.Generator | None
    ) -> None:
        fake, real = len(samples.fake), len(samples.real)
        if min(fake, real) < max(2, size or 2):
            raise ValueError(f"a KID with subsets of {size or 2} needs that many samples each, got {fake} and {real}")
        if size is not None and (rng is None or size < 2 or subsets < 1):
            raise ValueError(
                "drawing subsets needs rng, subsets >= 1 and size >= 2, got "
                f"{'no rng' if rng is None else 'rng'}, subsets {subsets}, size {size}"
            )
        self._dimension = len(samples.center)
        self._a = 1 + float(product(samples.center, samples.center)) / self._dimension
        self._offsets: dict[SampleName, Tensor] = {
            "fake": product(samples.fake, samples.center) / self._dimension,
            "real": product(samples.real, samples.center) / self._dimension,
        }
        device = samples.center.device
        self._masks: dict[SampleName, Tensor] = {
            "fake": _masks(fake, subsets, size, rng).to(device),
            "real": _masks(real, subsets, size, rng).to(device),
        }
        self._within: dict[SampleName, Tensor] = {
            name: mask.new_zeros(mask.shape[1]) for name, mask in self._masks.items()
        }
        self._between = self._within["fake"].clone()

    def within(self, sample: SampleName, rows: slice, products: Tensor) -> None:
        """Add the kernel of ``rows`` of a sample with these and all later rows, without pairs of a row with itself."""
        offsets, mask = self._offsets[sample], self._masks[sample]
        kernel = self._kernel(products, offsets[rows], offsets[rows.start :])
        own, after = kernel[:, : len(kernel)], kernel[:, len(kernel) :]
        own.fill_diagonal_(0)
        # A pair with a later row is seen once and counts for both orders.
        sums = own @ mask[rows] + 2 * (after @ mask[rows.stop :])
        self._within[sample] += (sums * mask[rows]).sum(dim=0)

    def between(self, rows: slice, products: Tensor) -> None:
        """Add the kernel of ``rows`` of the fake sample with all real rows."""
        masks = self._masks
        kernel = self._kernel(products, self._offsets["fake"][rows], self._offsets["real"])
        self._between += ((kernel @ masks["real"]) * masks["fake"][rows]).sum(dim=0)

    def kid(self) -> Kid:
        """Return the mean of the KID over subsets and its standard error."""
        n, m = (self._masks[name].sum(dim=0) for name in ("fake", "real"))
        fake, real = self._within["fake"] / (n * (n - 1)), self._within["real"] / (m * (m - 1))
        values = fake + real - 2 * self._between / (n * m)
        error = float(values.std()) / len(values) ** 0.5 if len(values) > 1 else float("nan")
        return Kid(float(values.mean()), error)

    def _kernel(self, products: Tensor, left: Tensor, right: Tensor) -> Tensor:
        """Return (a + e)³ - a³ with e = x'·y' / d + ``left`` + ``right``, which are x'·c / d and y'·c / d."""
        e = torch.add(left[:, None] + right, products, alpha=1 / self._dimension)
        return (e + 3 * self._a).mul_(e).add_(3 * self._a**2).mul_(e)


def _masks(n: int, subsets: int, size: int | None, rng: np.random.Generator | None) -> Tensor:
    """Return ``(n, subsets)``: 1 where a sample is in a subset, else 0."""
    if size is None or rng is None:
        return torch.ones(n, 1, dtype=torch.float64)
    masks = np.zeros((n, subsets))
    for subset in range(subsets):
        masks[rng.choice(n, size, replace=False), subset] = 1
    return torch.from_numpy(masks)
