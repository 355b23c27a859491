"""Metrics of points in the plane: exact W1, and coverage of the modes of a mixture."""

from typing import TYPE_CHECKING, Any, ClassVar

from lipschitz.metrics.base import Judged, Metric
from lipschitz.metrics.context import MAX_W1_SAMPLES, ImageContext, PointContext

if TYPE_CHECKING:
    from lipschitz.metrics.samples import ClassifierSamples, FeatureSamples, PointSamples


class W1(Metric):
    """Exact 1-Wasserstein distance between generated and held-out real points, equally many of each."""

    named = "w1"
    judges: ClassVar[Judged] = "points"
    title = "W1 to held-out data"
    better = "lower"
    source = "Villani 2009, Optimal Transport, definition 6.1"
    order = 1

    def measure(self, samples: "PointSamples | ClassifierSamples | FeatureSamples") -> float:
        """Return W1 between the first `MAX_W1_SAMPLES` samples of each."""
        from lipschitz.metrics.wasserstein import wasserstein1

        return wasserstein1(samples.generated[:MAX_W1_SAMPLES], samples.real[:MAX_W1_SAMPLES])

    def protocol(self, context: PointContext | ImageContext) -> dict[str, Any]:
        """Return the facts with the number of samples that are compared."""
        n = min(context.samples, MAX_W1_SAMPLES)
        return context.facts() | {"n_real": n, "n_fake": n}


class Modes(Metric):
    """Mixture components that are nearest to at least one high-quality sample."""

    named = "modes"
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


class HighQuality(Metric):
    """Share of generated points within three standard deviations of the nearest mode."""

    named = "high_quality"
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
