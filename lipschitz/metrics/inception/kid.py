"""Kernel Inception Distance (KID) by a protocol."""

from typing import TYPE_CHECKING, Any

from lipschitz.metrics.base import Metric
from lipschitz.metrics.context import InceptionContext

if TYPE_CHECKING:
    from lipschitz.metrics.samples import InceptionSamples

SUBSETS, SUBSET_SIZE = 100, 1000
"""Number of subsets and of images of either kind in each (section 4)."""


class KID(Metric):
    """Unbiased squared MMD to real images, cubic kernel on Inception features; mean over subsets."""

    judges = "inception"
    title = "KID"
    better = "lower"
    source = "Bińkowski et al. 2018, arXiv:1801.01401, section 4"
    order = 3

    def plan(self, samples: "InceptionSamples") -> None:
        """Share the inner products of images."""
        from lipschitz.metrics.mmd import kernel_sums

        samples.inner_products.plan(kernel_sums, SUBSETS, SUBSET_SIZE)

    def measure(self, samples: "InceptionSamples") -> float:
        """Return the mean over random subsets; of few images, the KID of all as one subset."""
        from lipschitz.metrics.mmd import kernel_sums

        return samples.inner_products.result(kernel_sums, SUBSETS, SUBSET_SIZE).kid().mean

    def protocol(self, context: InceptionContext) -> dict[str, Any]:
        """Return the facts with the number and the size of the subsets."""
        drawn = context.n_compared > SUBSET_SIZE
        return context.facts() | ({"subsets": SUBSETS, "subset_size": SUBSET_SIZE} if drawn else {"subsets": 1})
