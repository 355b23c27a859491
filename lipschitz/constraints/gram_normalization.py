"""Gram normalization: every weight is divided by a certified bound of its operator's norm."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from lipschitz.constraints.base import Constraint
from lipschitz.constraints.certified import CertifiedWeight, certify, check_certified
from lipschitz.estimation.layers import WeightedLayer
from lipschitz.estimation.upper_bound.gram_iteration import convolution_bound
from lipschitz.estimation.upper_bound.polyphase import ConvolutionAxis, convolution_axes


class GramNormalization(Constraint):
    """Replace every weight by c W / B(W), B a certified bound of the convolution's norm by Gram iteration.

    B is taken at the layer's true input size, stride and padding, in float64 and with the gradient through it; it has
    no state. What spectral normalization approximates from below by the reshaped kernel is here bounded from above.
    """

    source: ClassVar[str] = "Delattre et al. 2023, arXiv:2305.16173, Sec. 3 and 4"
    promise: ClassVar[Literal["certified", "heuristic", "none"]] = "certified"

    coefficient: PositiveFloat = 1.0
    """c, the bound of every layer's Lipschitz constant."""
    iterations: PositiveInt = 6
    """Steps of Gram iteration; each halves the logarithm of what B exceeds the norm on a circle by."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Reparametrise the weight of each layer."""
        return certify(self.name(), net, shape, self._weight)

    def check(self, net: nn.Module) -> None:
        """Refuse a network that other methods made unbounded."""
        check_certified(self.name(), net, DividedByBound)

    def _weight(self, layer: WeightedLayer, shape: torch.Size) -> CertifiedWeight:
        groups = 1 if isinstance(layer, nn.Linear) else layer.groups
        return DividedByBound(self.coefficient, convolution_axes(layer, shape), groups, self.iterations)


class DividedByBound(CertifiedWeight):
    """W -> c W / B(W); a zero kernel stays one."""

    def __init__(self, coefficient: float, along: Sequence[ConvolutionAxis], groups: int, iterations: int) -> None:
        super().__init__(coefficient)
        self.along, self.groups, self.iterations = tuple(along), groups, iterations

    def bounded(self, weight: Tensor) -> Tensor:
        """Return W / B(W) in float64."""
        kernel = weight.double()
        bound = convolution_bound(kernel, self.along, self.groups, iterations=self.iterations)
        return kernel / torch.where(bound > 0, bound, 1.0)
