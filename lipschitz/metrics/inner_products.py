"""Inner products of all pairs of samples in blocks, computed once for several metrics such as KID and precision.

Samples are centred first: far from zero the digits of their differences would be lost in those of the products.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from torch import Tensor

from lipschitz.metrics.float64_arithmetic import column_means
from lipschitz.metrics.sample_arrays import Samples, as_two_samples

SampleName = Literal["fake", "real"]
ROWS = 512
"""Rows of a block: with 10,000 samples a block takes 40 MB, for any dimension."""


class CentredSamples(NamedTuple):
    """Two samples from which their common mean was subtracted: float64, on one device."""

    fake: Tensor
    """``(n, d)``."""
    real: Tensor
    """``(m, d)``."""
    center: Tensor
    """The mean of all samples that was subtracted, ``(d,)``."""


def centred(fake: Tensor, real: Tensor) -> CentredSamples:
    """Subtract from ``fake`` ``(n, d)`` and ``real`` ``(m, d)`` the mean of all their rows."""
    total = len(fake) + len(real)
    center = column_means(fake) * (len(fake) / total) + column_means(real) * (len(real) / total)
    return CentredSamples(fake - center, real - center, center)


class BlockMetric(Protocol):
    """A metric that is computed from blocks of inner products, which it must not change.

    The blocks are float64, on the device of the samples.
    """

    def within(self, sample: SampleName, rows: slice, products: Tensor) -> None:
        """Add the products of ``rows`` of a sample with these and all later rows, ``(rows, n - rows.start)``."""

    def between(self, rows: slice, products: Tensor) -> None:
        """Add the products ``(rows, m)`` of ``rows`` of the fake sample with all real rows, after every `within`."""


B = TypeVar("B", bound=BlockMetric)


class SharedInnerProducts:
    """One pass over the inner products of ``fake`` ``(n, d)`` and ``real`` ``(m, d)`` for all planned metrics.

    A metric is named by a function and its arguments: ``make(samples, *arguments)`` returns the `BlockMetric` of
    `CentredSamples`. What is asked for again is not computed again.
    """

    def __init__(self, fake: Samples, real: Samples) -> None:
        self._samples = centred(*as_two_samples(fake, real))
        self._planned: dict[Hashable, BlockMetric] = {}
        self._done: dict[Hashable, Any] = {}

    def plan(self, make: Callable[..., BlockMetric], *arguments: Hashable) -> None:
        """Include a metric in the next pass."""
        key = (make, *arguments)
        if key not in self._planned and key not in self._done:
            self._planned[key] = make(self._samples, *arguments)

    def result(self, make: Callable[..., B], *arguments: Hashable) -> B:
        """Return a metric after its pass. The first call makes the pass, for every metric that was planned."""
        self.plan(make, *arguments)
        if self._planned:
            add_inner_products(self._samples, list(self._planned.values()))
            self._done |= self._planned
            self._planned = {}
        found: B = self._done[(make, *arguments)]
        return found


def add_inner_products(centred: CentredSamples, metrics: Sequence[BlockMetric]) -> None:
    """Give all inner products of two samples to the metrics, block by block.

    It takes O((n + m)² d) time. The memory does not grow with n m.
    """
    samples: dict[SampleName, Tensor] = {"fake": centred.fake, "real": centred.real}
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
