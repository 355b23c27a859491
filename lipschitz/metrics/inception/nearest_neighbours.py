"""What precision, recall, density and coverage share: k-nearest-neighbour balls around Inception features."""

from typing import TYPE_CHECKING, Any

from lipschitz.metrics.base import Metric
from lipschitz.metrics.context import InceptionContext

if TYPE_CHECKING:
    from lipschitz.metrics.precision_recall import PrecisionRecall
    from lipschitz.metrics.samples import InceptionSamples

NEIGHBOURS = 5
"""k of the k-nearest-neighbour balls (Naeem et al. 2020, arXiv:2002.09797, section 4)."""


class NeighbourMetric(Metric):
    """A metric of the balls around real and generated images; all of them share one computation."""

    judges = "inception"

    def plan(self, samples: "InceptionSamples") -> None:
        """Share the inner products of images."""
        from lipschitz.metrics.precision_recall import NeighbourBalls

        samples.inner_products.plan(NeighbourBalls, NEIGHBOURS)

    def balls(self, samples: "InceptionSamples") -> "PrecisionRecall":
        """Return all four metrics."""
        from lipschitz.metrics.precision_recall import NeighbourBalls

        return samples.inner_products.result(NeighbourBalls, NEIGHBOURS).result()

    def protocol(self, context: InceptionContext) -> dict[str, Any]:
        """Return the facts with the number of neighbours."""
        return context.facts() | {"neighbour": NEIGHBOURS}
