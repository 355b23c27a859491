"""Recall of generated images by a protocol."""

from typing import TYPE_CHECKING

from lipschitz.metrics.inception.nearest_neighbours import NeighbourMetric

if TYPE_CHECKING:
    from lipschitz.metrics.samples import InceptionSamples


class Recall(NeighbourMetric):
    """Share of real images within the neighbourhood of some generated one, in Inception features."""

    title = "Recall"
    better = "higher"
    source = "Kynkäänniemi et al. 2019, arXiv:1904.06991, eq. 2"
    order = 5

    def measure(self, samples: "InceptionSamples") -> float:
        """Return the recall."""
        return self.balls(samples).recall
