"""Precision of generated images by a protocol."""

from typing import TYPE_CHECKING

from lipschitz.metrics.inception.nearest_neighbours import NeighbourMetric

if TYPE_CHECKING:
    from lipschitz.metrics.samples import InceptionSamples


class Precision(NeighbourMetric):
    """Share of generated images within the neighbourhood of some real one, in Inception features."""

    title = "Precision"
    better = "higher"
    source = "Kynkäänniemi et al. 2019, arXiv:1904.06991, eq. 1"
    order = 4

    def measure(self, samples: "InceptionSamples") -> float:
        """Return the precision."""
        return self.balls(samples).precision
