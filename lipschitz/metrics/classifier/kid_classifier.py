"""Kernel Inception Distance (KID) in the features of the data set's reference classifier."""

from typing import TYPE_CHECKING, Any

from lipschitz.metrics.base import Metric
from lipschitz.metrics.context import ImageContext

if TYPE_CHECKING:
    from lipschitz.metrics.samples import ClassifierSamples


class KIDClassifier(Metric):
    """Unbiased squared MMD, cubic kernel, to held-out images in the features of the data's own classifier."""

    judges = "classifier"
    title = "KID, reference classifier"
    better = "lower"
    source = "Bińkowski et al. 2018, arXiv:1801.01401, section 4"
    order = 3

    def measure(self, samples: "ClassifierSamples") -> float:
        """Return the KID of all images as one subset."""
        from lipschitz.metrics.mmd import kid

        return kid(samples.generated, samples.real).mean

    def protocol(self, context: ImageContext) -> dict[str, Any]:
        """Return the facts with the number of subsets."""
        return context.facts() | {"subsets": 1}
