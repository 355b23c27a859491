"""Inner products of all pairs of samples, in blocks: computed once for everything that is made of them."""

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lipschitz.metrics.samples import as_samples

Floats = NDArray[np.float64]
Sample = Literal["fake", "real"]
ROWS = 512
"""Rows of a block: with 10,000 samples it takes 40 MB, whatever their dimension."""


class Accumulator(Protocol):
    """Something that is made of inner products, blocks of float64 on the CPU. It leaves them as they are."""

    def within(self, sample: Sample, rows: slice, products: Tensor) -> None:
        """Take the products of ``rows`` of a sample with these rows and all after them, ``(rows, n - rows.start)``."""

    def between(self, rows: slice, products: Tensor) -> None:
        """Take the products of ``rows`` of the generated sample with all real ones; called after every `within`."""


def over_pairs(fake: Floats, real: Floats, accumulators: Sequence[Accumulator]) -> None:
    """Show all inner products of ``fake`` ``(n, d)`` and ``real`` ``(m, d)`` to the accumulators, block by block.

    O((n + m)² d) time; memory that does not grow with n m.
    """
    samples: dict[Sample, Tensor] = {"fake": torch.from_numpy(fake), "real": torch.from_numpy(real)}
    for name, sample in samples.items():
        for rows in _rows(sample):
            products = sample[rows] @ sample[rows.start :].T
            for accumulator in accumulators:
                accumulator.within(name, rows, products)
    for rows in _rows(samples["fake"]):
        products = samples["fake"][rows] @ samples["real"].T
        for accumulator in accumulators:
            accumulator.between(rows, products)


def as_pair(fake: ArrayLike, real: ArrayLike) -> tuple[Floats, Floats]:
    """Return both samples as float64 ``(n, d)`` and ``(m, d)``.

    Raises:
        ValueError: dimensions differ, another shape, or a number that is not finite.
    """
    fake, real = as_samples(fake), as_samples(real)
    if fake.shape[1] != real.shape[1]:
        raise ValueError(f"samples to compare have one dimension, not those of {fake.shape} and {real.shape}")
    return fake, real


def _rows(x: Tensor) -> Iterator[slice]:
    for start in range(0, len(x), ROWS):
        yield slice(start, min(start + ROWS, len(x)))
