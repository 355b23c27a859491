"""Records of what a run's evaluations use, known before sampling: numbers of samples, modes, classes, features.

`Metric.applies` and `Metric.protocol` receive one of these records. `facts` are recorded beside a number.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_W1_SAMPLES = 1000
"""Largest number of samples of an exact W1: the time of the assignment problem grows with their cube."""


@dataclass(frozen=True)
class PointContext:
    """Evaluation of generated points."""

    samples: int
    """Number of generated and of real points per evaluation."""
    has_modes: bool
    """Whether the distribution is a mixture with known centers."""

    def facts(self) -> dict[str, Any]:
        """Return the facts of a metric that compares all points."""
        return {"reference": "fresh draw of the distribution", "n_real": self.samples, "n_fake": self.samples}


@dataclass(frozen=True)
class ImageContext:
    """Evaluation of generated images: as they are, or in the features of the data set's reference classifier."""

    samples: int
    """Number of generated and of real images per evaluation."""
    classes: int | None
    """Number of classes; None for images without labels."""
    conditional: bool
    """Whether images are generated for given classes, the same as those of the real images, row by row."""
    features: Mapping[str, Any] = field(default_factory=dict)
    """Facts of the reference classifier; empty for the images themselves, or before data are loaded."""
    has_modes: bool = False
    """Whether each class is a mode of equal probability, so that covered classes are counted."""

    def facts(self) -> dict[str, Any]:
        """Return the facts of a metric that compares all images."""
        compared = {"reference": "held-out images", "quantisation": "8 bit"}
        return {**self.features, **compared, "n_real": self.samples, "n_fake": self.samples}


@dataclass(frozen=True)
class InceptionContext:
    """Evaluation of many generated images in the features of the FID's Inception network, by one protocol."""

    network: Mapping[str, Any]
    """Facts of the protocol, the network and the preprocessing."""
    reference: str
    """The real images, such as ``held-out images``."""
    n_real: int
    """Number of real images whose mean and covariance are compared."""
    n_fake: int
    """Number of generated images whose mean and covariance are compared."""
    n_scored: int
    """Number of generated images of the Inception Score."""
    score_splits: int
    """Number of parts into which these are split."""
    n_compared: int
    """Number of real and of generated images that are compared one by one."""
    n_other: int
    """Number of real images that are not the reference; they take the place of generated images in the floor."""

    def facts(self) -> dict[str, Any]:
        """Return the facts of a metric that compares images one by one."""
        n = self.n_compared
        of = {"reference": self.reference, "n_real": n, "n_fake": n, "n_floor": min(n, self.n_other)}
        return {**self.network, **of}
