"""Share of generated images in each class, for conditional generators."""

from typing import TYPE_CHECKING, Any

from lipschitz.metrics.base import Metric
from lipschitz.metrics.context import ImageContext

if TYPE_CHECKING:
    from lipschitz.metrics.samples import ClassifierSamples


class ClassShare(Metric):
    """Share of generated images that the reference classifier takes for the class after the slash."""

    judges = "classifier"
    title = "Share of samples in class"
    order = 5

    def measure(self, samples: "ClassifierSamples") -> dict[str, float] | None:
        """Return the share, 0 to 1, of each class; None without labels."""
        if samples.labels is None:
            return None
        return {str(label): float((samples.predicted == label).mean()) for label in range(samples.classes)}

    def applies(self, context: ImageContext) -> bool:
        """Return whether images are generated for given classes."""
        return context.conditional

    def protocol(self, context: ImageContext) -> dict[str, Any]:
        """Return the facts of generated images, which are compared with no others."""
        return {name: fact for name, fact in context.facts().items() if name not in ("reference", "n_real")}

    def places(self, context: ImageContext) -> tuple[str, ...]:
        """Return the classes."""
        assert context.classes is not None
        return tuple(map(str, range(context.classes)))
