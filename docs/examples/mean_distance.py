"""A metric of your own: the distance of two means."""

import numpy as np

from lipschitz.metrics.base import Metric
from lipschitz.metrics.samples import PointSamples


class MeanDistance(Metric):
    """Euclidean distance of the mean of generated points from the mean of held-out points."""

    judges = "points"
    title = "Distance of means"
    better = "lower"

    def measure(self, samples: PointSamples) -> float:
        """Return the distance."""
        return float(np.linalg.norm(samples.generated.mean(axis=0) - samples.real.mean(axis=0)))
