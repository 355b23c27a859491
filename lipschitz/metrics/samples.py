"""The samples that one evaluation gives to its metrics, made once for all of them."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lipschitz.metrics.frechet import Moments
from lipschitz.metrics.inner_products import SharedInnerProducts
from lipschitz.metrics.sample_arrays import Floats

Bytes = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PointSamples:
    """Generated and real points, equally many."""

    generated: Floats
    """``(n, 2)``."""
    real: Floats
    """A fresh draw of the distribution, ``(n, 2)``."""
    centers: Floats | None
    """Centers of the mixture's modes, ``(k, 2)``; None if the distribution is no mixture."""
    std: float
    """Standard deviation of each mode along each axis."""


@dataclass(frozen=True, eq=False)
class ImageSamples:
    """Generated and held-out images, equally many, as they would be saved."""

    generated: Bytes
    """``(n, c, h, w)``, 0 to 255."""
    real: Bytes
    """``(n, c, h, w)``, 0 to 255."""
    labels: Labels | None
    """Classes of a conditional run, generated and real alike, ``(n,)``; else None."""


@dataclass(frozen=True, eq=False)
class FeatureSamples:
    """Generated and held-out images in the features of a network with random weights, equally many."""

    generated: Floats
    """``(n, d)``."""
    real: Floats
    """``(n, d)``."""


@dataclass(frozen=True, eq=False)
class ClassifierSamples:
    """Generated and held-out images in the features of a classifier of the same data set, equally many."""

    generated: Floats
    """``(n, d)``."""
    real: Floats
    """``(n, d)``."""
    predicted: Labels
    """Classes that the classifier predicts for the generated images, ``(n,)``."""
    classes: int
    """Number of classes."""
    labels: Labels | None
    """Classes of a conditional run, generated and real alike, ``(n,)``; else None."""


class InceptionTensors(NamedTuple):
    """Outputs of the FID's Inception network for generated and real images: float32, on the network's device."""

    generated: Tensor
    """Features of the generated images whose mean and covariance are compared, ``(n_fake, d)``."""
    logits: Tensor
    """Class logits of the generated images of the Inception Score, ``(n_scored, classes)``."""
    generated_compared: Tensor
    """Features of the generated images that are compared one by one, ``(n_compared, d)``."""
    real_compared: Tensor
    """Features of the real images that are compared one by one, ``(n_compared, d)``."""


@dataclass(frozen=True, eq=False)
class InceptionSamples:
    """Generated and real images in the features of the FID's Inception network, as many as a protocol says.

    ``tensors`` are on the device of the network. The arrays of the same names are copies on the host, made where a
    metric asks for them.
    """

    tensors: InceptionTensors
    real_moments: Moments
    """Mean and covariance of the features of all real images."""
    score_splits: int
    """Number of parts of the Inception Score."""

    @cached_property
    def generated(self) -> NDArray[np.float32]:
        """`InceptionTensors.generated` as an array."""
        return self.tensors.generated.cpu().numpy()

    @cached_property
    def logits(self) -> NDArray[np.float32]:
        """`InceptionTensors.logits` as an array."""
        return self.tensors.logits.cpu().numpy()

    @cached_property
    def generated_compared(self) -> NDArray[np.float32]:
        """`InceptionTensors.generated_compared` as an array."""
        return self.tensors.generated_compared.cpu().numpy()

    @cached_property
    def real_compared(self) -> NDArray[np.float32]:
        """`InceptionTensors.real_compared` as an array."""
        return self.tensors.real_compared.cpu().numpy()

    @cached_property
    def inner_products(self) -> SharedInnerProducts:
        """Inner products of the images that are compared one by one."""
        return SharedInnerProducts(self.tensors.generated_compared, self.tensors.real_compared)
