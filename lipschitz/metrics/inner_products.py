"""Inner products of all pairs of samples in blocks, computed once for several metrics such as KID and precision."""

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor

from lipschitz.metrics.sample_arrays import Floats

SampleName = Literal["fake", "real"]
ROWS = 512
"""Rows of a block: with 10,000 samples a block takes 40 MB, for any dimension."""


class BlockMetric(Protocol):
    """A metric that is computed from blocks of inner products, float64 on the CPU. It must not change the blocks."""

    def within(self, sample: SampleName, rows: slice, products: Tensor) -> None:
        """Add the products of ``rows`` of a sample with these and all later rows, ``(rows, n - rows.start)``."""

    def between(self, rows: slice, products: Tensor) -> None:
        """Add the products ``(rows, m)`` of ``rows`` of the fake sample with all real rows, after every `within`."""


def add_inner_products(fake: Floats, real: Floats, metrics: Sequence[BlockMetric]) -> None:
    """Give all inner products of ``fake`` ``(n, d)`` and ``real`` ``(m, d)`` to the metrics, block by block.

    It takes O((n + m)² d) time. The memory does not grow with n m.
    """
    samples: dict[SampleName, Tensor] = {"fake": torch.from_numpy(fake), "real": torch.from_numpy(real)}
    for name, sample in samples.items():
        for rows in _row_blocks(sample):
            products = sample[rows] @ sample[rows.start :].T
            for metric in metrics:
                metric.within(name, rows, products)
    for rows in _row_blocks(samples["fake"]):
        products = samples["fake"][rows] @ samples["real"].T
        for metric in metrics:
            metric.between(rows, products)


def _row_blocks(x: Tensor) -> Iterator[slice]:
    for start in range(0, len(x), ROWS):
        yield slice(start, min(start + ROWS, len(x)))
