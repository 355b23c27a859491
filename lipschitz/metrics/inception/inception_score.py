"""Inception Score by a protocol."""

from typing import TYPE_CHECKING, Any

from lipschitz.metrics.base import Metric
from lipschitz.metrics.context import InceptionContext

if TYPE_CHECKING:
    from lipschitz.metrics.samples import InceptionSamples


class InceptionScore(Metric):
    """How sure and how varied the Inception network's classes are, by the protocol after the slash."""

    judges = "inception"
    title = "Inception Score"
    better = "higher"
    source = "Salimans et al. 2016, arXiv:1606.03498, section 4"
    order = 2

    def measure(self, samples: "InceptionSamples") -> float:
        """Return the mean over the parts of the samples."""
        from lipschitz.metrics.mutual_information import inception_score

        return inception_score(samples.logits, samples.score_splits).mean

    def protocol(self, context: InceptionContext) -> dict[str, Any]:
        """Return the facts of generated images, which are compared with no others."""
        floor = min(context.n_scored, context.n_other)
        own = {"n_fake": context.n_scored, "splits": context.score_splits, "n_floor": floor}
        return {**context.network, "layer": "1,008 classes without bias", **own}
