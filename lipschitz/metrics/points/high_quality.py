"""Share of generated points close to a mode of a Gaussian mixture."""

from typing import TYPE_CHECKING, Any

from lipschitz.metrics.base import Metric
from lipschitz.metrics.context import PointContext

if TYPE_CHECKING:
    from lipschitz.metrics.samples import PointSamples


class HighQuality(Metric):
    """Share of generated points within three standard deviations of the nearest mode."""

    judges = "points"
    title = "High-quality samples"
    better = "higher"
    unit = "share"
    source = "Srivastava et al. 2017, arXiv:1705.07761, section 4.1"
    order = 3

    def measure(self, samples: "PointSamples") -> float | None:
        """Return the share, 0 to 1; None if there are no modes."""
        from lipschitz.metrics.mode_coverage import high_quality_share

        if samples.centers is None:
            return None
        return high_quality_share(samples.generated, samples.centers, samples.std)

    def applies(self, context: PointContext) -> bool:
        """Return whether the distribution is a mixture."""
        return context.has_modes

    def protocol(self, context: PointContext) -> dict[str, Any]:
        """Return the facts of points that are compared with modes."""
        return {"reference": "modes of the distribution", "n_fake": context.samples, "radius": "3 standard deviations"}
