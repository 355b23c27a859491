"""Fréchet distance within classes, for conditional generators."""

from typing import TYPE_CHECKING, Any

from lipschitz.metrics.base import Metric
from lipschitz.metrics.context import ImageContext

if TYPE_CHECKING:
    from lipschitz.metrics.samples import ClassifierSamples


class IntraFrechetClassifier(Metric):
    """Mean over classes of the Fréchet distance of images asked of a class to held-out ones of that class."""

    judges = "classifier"
    title = "Intra-class Fréchet distance, reference classifier"
    better = "lower"
    source = "Miyato and Koyama 2018, arXiv:1802.05637, section 4, there with an Inception network"
    order = 4

    def measure(self, samples: "ClassifierSamples") -> float | None:
        """Return the mean over the classes with two samples or more, NaN if there are none; None without labels."""
        import numpy as np

        from lipschitz.metrics.frechet import frechet_distance

        if samples.labels is None:
            return None
        counts = np.bincount(samples.labels, minlength=samples.classes)
        of_class = [samples.labels == label for label in np.flatnonzero(counts > 1)]
        distances = [frechet_distance(samples.generated[rows], samples.real[rows]) for rows in of_class]
        return float(np.mean(distances)) if distances else float("nan")

    def applies(self, context: ImageContext) -> bool:
        """Return whether images are generated for given classes."""
        return context.conditional

    def protocol(self, context: ImageContext) -> dict[str, Any]:
        """Return the facts with the mean number of images of a class."""
        assert context.classes is not None
        return context.facts() | {"per_class": round(context.samples / context.classes, 1)}
