"""Exact 1-Wasserstein distance in the features of the data set's reference classifier."""

from typing import TYPE_CHECKING, Any

from lipschitz.metrics.base import Metric
from lipschitz.metrics.context import MAX_W1_SAMPLES, ImageContext

if TYPE_CHECKING:
    from lipschitz.metrics.samples import ClassifierSamples


class W1Classifier(Metric):
    """Exact 1-Wasserstein distance to held-out images in the features of a classifier of the same data."""

    judges = "classifier"
    title = "W1, reference classifier"
    better = "lower"
    source = "Villani 2009, Optimal Transport, definition 6.1"
    order = 2

    def measure(self, samples: "ClassifierSamples") -> float:
        """Return W1 between the first `MAX_W1_SAMPLES` images of each."""
        from lipschitz.metrics.wasserstein import wasserstein1

        return wasserstein1(samples.generated[:MAX_W1_SAMPLES], samples.real[:MAX_W1_SAMPLES])

    def protocol(self, context: ImageContext) -> dict[str, Any]:
        """Return the facts with the number of images that are compared."""
        n = min(context.samples, MAX_W1_SAMPLES)
        return context.facts() | {"n_real": n, "n_fake": n}
