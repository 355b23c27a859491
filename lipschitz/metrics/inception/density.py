"""Density of generated images by a protocol."""

from typing import TYPE_CHECKING

from lipschitz.metrics.inception.nearest_neighbours import NeighbourMetric

if TYPE_CHECKING:
    from lipschitz.metrics.samples import InceptionSamples


class Density(NeighbourMetric):
    """Real neighbourhoods that hold a generated image, on average, over k; may exceed 1."""

    title = "Density"
    better = "higher"
    source = "Naeem et al. 2020, arXiv:2002.09797, eq. 3"
    order = 6

    def measure(self, samples: "InceptionSamples") -> float:
        """Return the density."""
        return self.balls(samples).density
