"""Number of modes of a Gaussian mixture that generated points cover."""

from typing import TYPE_CHECKING, Any

from lipschitz.metrics.base import Metric
from lipschitz.metrics.context import PointContext

if TYPE_CHECKING:
    from lipschitz.metrics.samples import PointSamples


class Modes(Metric):
    """Mixture components that are nearest to at least one high-quality sample."""

    judges = "points"
    title = "Modes covered"
    better = "higher"
    source = "Srivastava et al. 2017, arXiv:1705.07761, section 4.1"
    order = 2

    def measure(self, samples: "PointSamples") -> float | None:
        """Return the number of modes, at most that of ``samples.centers``; None if there are none."""
        from lipschitz.metrics.mode_coverage import modes_covered

        if samples.centers is None:
            return None
        return modes_covered(samples.generated, samples.centers, samples.std)

    def applies(self, context: PointContext) -> bool:
        """Return whether the distribution is a mixture."""
        return context.has_modes

    def protocol(self, context: PointContext) -> dict[str, Any]:
        """Return the facts of points that are compared with modes."""
        return {"reference": "modes of the distribution", "n_fake": context.samples, "radius": "3 standard deviations"}
