"""Gram normalization: every weight is divided by a certified upper bound of its operator norm, by Gram iteration."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lipschitz.config import Bound, Iterations
from lipschitz.constraints.base import Constraint
from lipschitz.constraints.certified import CertifiedWeight, certify, check_certified
from lipschitz.estimation.layers import WeightedLayer
from lipschitz.estimation.upper_bound.gram_iteration import convolution_bound
from lipschitz.estimation.upper_bound.polyphase import ConvolutionAxis, convolution_axes


class GramNormalization(Constraint):
    """Divide every weight by a certified upper bound of its operator norm, computed by Gram iteration.

    W -> c W / B(W). The bound B(W) holds at the layer's true input size, stride and padding. It is computed in float64
    in every forward pass, without state, and is differentiated. Spectral normalization in contrast divides by an
    approximation from below, by default of the reshaped kernel's norm.
    """

    source = "Delattre et al. 2023, arXiv:2305.16173, Sec. 3 and 4"
    promise = "certified"
    scale_invariant = True

    coefficient: Bound = 1.0
    """c, the bound of every layer's Lipschitz constant."""
    iterations: Iterations = 6
    """Steps of Gram iteration; each halves log(B / norm), where norm is the operator norm with circular padding."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Reparametrise the weight of each layer."""
        return certify(self.name(), net, shape, self._parametrization)

    def check(self, net: nn.Module) -> None:
        """Raise Refusal where another constraint has broken the certified bound."""
        check_certified(self.name(), net, DividedByBound)

    def _parametrization(self, layer: WeightedLayer, shape: torch.Size) -> CertifiedWeight:
        groups = 1 if isinstance(layer, nn.Linear) else layer.groups
        return DividedByBound(self.coefficient, convolution_axes(layer, shape), groups, self.iterations)


class DividedByBound(CertifiedWeight):
    """Reparametrisation W -> c W / B(W), with B(W) the certified bound; a zero kernel stays zero."""

    def __init__(
        self, coefficient: float, spatial_axes: Sequence[ConvolutionAxis], groups: int, iterations: int
    ) -> None:
        super().__init__(coefficient)
        self.axes, self.groups, self.iterations = tuple(spatial_axes), groups, iterations

    def bounded(self, weight: Tensor) -> Tensor:
        """Return W / B(W) in float64."""
        kernel = weight.double()
        bound = convolution_bound(kernel, self.axes, self.groups, iterations=self.iterations)
        return kernel / torch.where(bound > 0, bound, 1.0)
