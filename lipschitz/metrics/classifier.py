"""Metrics of images in the features of the data set's own reference classifier."""

from typing import TYPE_CHECKING, Any, ClassVar

from lipschitz.metrics.base import Judged, Metric
from lipschitz.metrics.context import ImageContext
from lipschitz.metrics.description import Direction
from lipschitz.metrics.points import W1

if TYPE_CHECKING:
    from lipschitz.metrics.samples import ClassifierSamples, FeatureSamples


class FrechetClassifier(Metric):
    """Fréchet distance to held-out images in the features of a classifier of the same data; not the FID."""

    named = "frechet_classifier"
    judges: ClassVar[Judged] = "classifier"
    title = "Fréchet distance, reference classifier"
    better = "lower"
    source = "Dowson and Landau 1982; on features as Heusel et al. 2017, arXiv:1706.08500, eq. 6"
    order = 1

    def measure(self, samples: "ClassifierSamples | FeatureSamples") -> float:
        """Return the squared Fréchet distance."""
        from lipschitz.metrics.frechet import frechet_distance

        return frechet_distance(samples.generated, samples.real)


class W1Classifier(W1):
    """Exact 1-Wasserstein distance to held-out images in the features of a classifier of the same data."""

    named = "w1_classifier"
    judges = "classifier"
    title = "W1, reference classifier"
    order = 2


class KIDClassifier(Metric):
    """Unbiased squared MMD, cubic kernel, to held-out images in the features of the data's own classifier."""

    named = "kid_classifier"
    judges: ClassVar[Judged] = "classifier"
    title = "KID, reference classifier"
    better = "lower"
    source = "Bińkowski et al. 2018, arXiv:1801.01401, section 4"
    order = 3

    def measure(self, samples: "ClassifierSamples | FeatureSamples") -> float:
        """Return the KID of all images as one subset."""
        from lipschitz.metrics.mmd import kid

        return kid(samples.generated, samples.real).mean

    def protocol(self, context: ImageContext) -> dict[str, Any]:
        """Return the facts with the number of subsets."""
        return context.facts() | {"subsets": 1}


class IntraFrechetClassifier(Metric):
    """Mean over classes of the Fréchet distance of images asked of a class to held-out ones of that class."""

    named = "intra_frechet_classifier"
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


class ClassShare(Metric):
    """Share of generated images that the reference classifier takes for the class after the slash."""

    named = "class_share"
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


class ClassesCovered(Metric):
    """Classes that the reference classifier predicts for at least one generated image."""

    named = "classes_covered"
    judges = "classifier"
    title = "Classes covered"
    better: ClassVar[Direction | None] = "higher"
    source = "Metz et al. 2017, arXiv:1611.02163, section 3.3.1"
    order = 6

    def measure(self, samples: "ClassifierSamples") -> float:
        """Return the number of classes."""
        import numpy as np

        return float(len(np.unique(samples.predicted)))

    def applies(self, context: ImageContext) -> bool:
        """Return whether every class is a mode."""
        return context.has_modes

    def protocol(self, context: ImageContext) -> dict[str, Any]:
        """Return the facts of generated images, which are compared with no others."""
        return {name: fact for name, fact in context.facts().items() if name not in ("reference", "n_real")}


class ClassDivergence(ClassesCovered):
    """Kullback-Leibler divergence of the classes predicted for generated images from equal shares."""

    named = "class_divergence"
    title = "KL divergence of classes"
    better = "lower"
    unit = "nat"
    source = "Metz et al. 2017, arXiv:1611.02163, section 3.3.1; Srivastava et al. 2017, arXiv:1705.07761"
    order = 7

    def measure(self, samples: "ClassifierSamples") -> float:
        """Return Σ s log(k s) over the shares s of the k classes, zero for equal shares, log k for a single class."""
        import numpy as np

        counts = np.bincount(samples.predicted, minlength=samples.classes)
        shares = counts[counts > 0] / counts.sum()
        return float((shares * np.log(samples.classes * shares)).sum())
