"""Fréchet distance in the features of the data set's reference classifier."""

from typing import TYPE_CHECKING

from lipschitz.metrics.base import Metric

if TYPE_CHECKING:
    from lipschitz.metrics.samples import ClassifierSamples


class FrechetClassifier(Metric):
    """Fréchet distance to held-out images in the features of a classifier of the same data; not the FID."""

    judges = "classifier"
    title = "Fréchet distance, reference classifier"
    better = "lower"
    source = "Dowson and Landau 1982; on features as Heusel et al. 2017, arXiv:1706.08500, eq. 6"
    order = 1

    def measure(self, samples: "ClassifierSamples") -> float:
        """Return the squared Fréchet distance."""
        from lipschitz.metrics.frechet import frechet_distance

        return frechet_distance(samples.generated, samples.real)
