"""Exact 1-Wasserstein distance between generated and real points."""

from typing import TYPE_CHECKING, Any

from lipschitz.metrics.base import Metric
from lipschitz.metrics.context import MAX_W1_SAMPLES, PointContext

if TYPE_CHECKING:
    from lipschitz.metrics.samples import PointSamples


class W1(Metric):
    """Exact 1-Wasserstein distance between generated and held-out real points, equally many of each."""

    judges = "points"
    title = "W1 to held-out data"
    better = "lower"
    source = "Villani 2009, Optimal Transport, definition 6.1"
    order = 1

    def measure(self, samples: "PointSamples") -> float:
        """Return W1 between the first `MAX_W1_SAMPLES` points of each."""
        from lipschitz.metrics.wasserstein import wasserstein1

        return wasserstein1(samples.generated[:MAX_W1_SAMPLES], samples.real[:MAX_W1_SAMPLES])

    def protocol(self, context: PointContext) -> dict[str, Any]:
        """Return the facts with the number of points that are compared."""
        n = min(context.samples, MAX_W1_SAMPLES)
        return context.facts() | {"n_real": n, "n_fake": n}
