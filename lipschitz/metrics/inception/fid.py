"""Fréchet Inception Distance (FID) by a protocol."""

from typing import TYPE_CHECKING, Any

from lipschitz.metrics.base import Metric
from lipschitz.metrics.context import InceptionContext

if TYPE_CHECKING:
    from lipschitz.metrics.samples import InceptionSamples


class FID(Metric):
    """Fréchet distance to real images in Inception features, by the protocol after the slash."""

    judges = "inception"
    title = "FID"
    better = "lower"
    source = "Heusel et al. 2017, arXiv:1706.08500, eq. 6"
    order = 1

    def measure(self, samples: "InceptionSamples") -> float:
        """Return the squared Fréchet distance."""
        from lipschitz.metrics.frechet import frechet_of_moments, moments

        return frechet_of_moments(moments(samples.generated), samples.real_moments)

    def protocol(self, context: InceptionContext) -> dict[str, Any]:
        """Return the facts with the numbers of images whose mean and covariance are compared."""
        floor = min(context.n_fake, context.n_other)
        return context.facts() | {"n_real": context.n_real, "n_fake": context.n_fake, "n_floor": floor}
