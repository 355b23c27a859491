"""Metrics of images in the features of the FID's Inception network, by a protocol."""

from typing import TYPE_CHECKING, Any

from lipschitz.metrics.base import Metric
from lipschitz.metrics.context import InceptionContext

if TYPE_CHECKING:
    from lipschitz.metrics.precision_recall import PrecisionRecall
    from lipschitz.metrics.samples import InceptionSamples


NEIGHBOURS = 5
"""k of the k-nearest-neighbour balls (Naeem et al. 2020, arXiv:2002.09797, section 4)."""


class NeighbourMetric(Metric):
    """A metric of the balls around real and generated images; all of them share one computation."""

    judges = "inception"

    def plan(self, samples: "InceptionSamples") -> None:
        """Share the inner products of images."""
        from lipschitz.metrics.precision_recall import NeighbourBalls

        samples.inner_products.plan(NeighbourBalls, NEIGHBOURS)

    def balls(self, samples: "InceptionSamples") -> "PrecisionRecall":
        """Return all four metrics."""
        from lipschitz.metrics.precision_recall import NeighbourBalls

        return samples.inner_products.result(NeighbourBalls, NEIGHBOURS).result()

    def protocol(self, context: InceptionContext) -> dict[str, Any]:
        """Return the facts with the number of neighbours."""
        return context.facts() | {"neighbour": NEIGHBOURS}


class FID(Metric):
    """Fréchet distance to real images in Inception features, by the protocol after the slash."""

    named = "fid"
    judges = "inception"
    title = "FID"
    better = "lower"
    source = "Heusel et al. 2017, arXiv:1706.08500, eq. 6"
    order = 1

    def measure(self, samples: "InceptionSamples") -> float:
        """Return the squared Fréchet distance."""
        from lipschitz.metrics.frechet import frechet_of_moments, moments

        return frechet_of_moments(moments(samples.tensors.generated), samples.real_moments)

    def protocol(self, context: InceptionContext) -> dict[str, Any]:
        """Return the facts with the numbers of images whose mean and covariance are compared."""
        floor = min(context.n_fake, context.n_other)
        return context.facts() | {"n_real": context.n_real, "n_fake": context.n_fake, "n_floor": floor}


class InceptionScore(Metric):
    """How sure and how varied the Inception network's classes are, by the protocol after the slash."""

    named = "inception_score"
    judges = "inception"
    title = "Inception Score"
    better = "higher"
    source = "Salimans et al. 2016, arXiv:1606.03498, section 4"
    order = 2

    def measure(self, samples: "InceptionSamples") -> float:
        """Return the mean over the parts of the samples."""
        from lipschitz.metrics.mutual_information import inception_score

        return inception_score(samples.tensors.logits, samples.score_splits).mean

    def protocol(self, context: InceptionContext) -> dict[str, Any]:
        """Return the facts of generated images, which are compared with no others."""
        floor = min(context.n_scored, context.n_other)
        own = {"n_fake": context.n_scored, "splits": context.score_splits, "n_floor": floor}
        return {**context.network, "layer": "1,008 classes without bias", **own}


SUBSETS, SUBSET_SIZE = 100, 1000
"""Number of subsets and of images of either kind in each (section 4)."""


class KID(Metric):
    """Unbiased squared MMD to real images, cubic kernel on Inception features; mean over subsets."""

    named = "kid"
    judges = "inception"
    title = "KID"
    better = "lower"
    source = "Bińkowski et al. 2018, arXiv:1801.01401, section 4"
    order = 3

    def plan(self, samples: "InceptionSamples") -> None:
        """Share the inner products of images."""
        from lipschitz.metrics.mmd import kernel_sums

        samples.inner_products.plan(kernel_sums, SUBSETS, SUBSET_SIZE)

    def measure(self, samples: "InceptionSamples") -> float:
        """Return the mean over random subsets; of few images, the KID of all as one subset."""
        from lipschitz.metrics.mmd import kernel_sums

        return samples.inner_products.result(kernel_sums, SUBSETS, SUBSET_SIZE).kid().mean

    def protocol(self, context: InceptionContext) -> dict[str, Any]:
        """Return the facts with the number and the size of the subsets."""
        drawn = context.n_compared > SUBSET_SIZE
        return context.facts() | ({"subsets": SUBSETS, "subset_size": SUBSET_SIZE} if drawn else {"subsets": 1})


class Precision(NeighbourMetric):
    """Share of generated images within the neighbourhood of some real one, in Inception features."""

    named = "precision"
    title = "Precision"
    better = "higher"
    source = "Kynkäänniemi et al. 2019, arXiv:1904.06991, eq. 1"
    order = 4

    def measure(self, samples: "InceptionSamples") -> float:
        """Return the precision."""
        return self.balls(samples).precision


class Recall(NeighbourMetric):
    """Share of real images within the neighbourhood of some generated one, in Inception features."""

    named = "recall"
    title = "Recall"
    better = "higher"
    source = "Kynkäänniemi et al. 2019, arXiv:1904.06991, eq. 2"
    order = 5

    def measure(self, samples: "InceptionSamples") -> float:
        """Return the recall."""
        return self.balls(samples).recall


class Density(NeighbourMetric):
    """Real neighbourhoods that hold a generated image, on average, over k; may exceed 1."""

    named = "density"
    title = "Density"
    better = "higher"
    source = "Naeem et al. 2020, arXiv:2002.09797, eq. 3"
    order = 6

    def measure(self, samples: "InceptionSamples") -> float:
        """Return the density."""
        return self.balls(samples).density


class Coverage(NeighbourMetric):
    """Share of real neighbourhoods that hold some generated image, in Inception features."""

    named = "coverage"
    title = "Coverage"
    better = "higher"
    source = "Naeem et al. 2020, arXiv:2002.09797, eq. 4"
    order = 7

    def measure(self, samples: "InceptionSamples") -> float:
        """Return the coverage."""
        return self.balls(samples).coverage
