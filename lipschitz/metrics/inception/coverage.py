"""Coverage of real images by a protocol."""

from typing import TYPE_CHECKING

from lipschitz.metrics.inception.nearest_neighbours import NeighbourMetric

if TYPE_CHECKING:
    from lipschitz.metrics.samples import InceptionSamples


class Coverage(NeighbourMetric):
    """Share of real neighbourhoods that hold some generated image, in Inception features."""

    title = "Coverage"
    better = "higher"
    source = "Naeem et al. 2020, arXiv:2002.09797, eq. 4"
    order = 7

    def measure(self, samples: "InceptionSamples") -> float:
        """Return the coverage."""
        return self.balls(samples).coverage
