"""Convex potential layers (CPL): residual layers x - 2/σ² Wᵀ act(W x + b), which are 1-Lipschitz."""

import torch
from torch import nn

from lipschitz.constraints.certified import CertifiedWeight, check_certified
from lipschitz.constraints.gram_normalization import DividedByBound, GramNormalization
from lipschitz.constraints.residual_layers import make_residual
from lipschitz.estimation.layers import WeightedLayer
from lipschitz.estimation.upper_bound.polyphase import convolution_axes


class CPL(GramNormalization):
    """Replace every block of a layer and an activation by a step x - 2/σ² Wᵀ act(W x + b) down a convex potential.

    Written with W/σ in place of W, which scales b: x - 2 (W/σ)ᵀ act(W x/σ + b). σ is a certified upper bound of ‖W‖ at
    the layer's true input size, as in `gram_normalization`; the authors take power iteration. A layer without an
    activation of its own, such as the last one, is W/σ.

    A residual layer keeps its input's shape. So where a block of the network changes the number of channels or the
    size, the residual's output is padded with channels of zeros, or loses the last channels, and the sum over each
    s x s window divided by s takes the place of stride s. Raw parameters are those of the network. The activation must
    be elementwise with slopes in [0, 1].
    """

    source = "Meunier et al. 2022, arXiv:2110.12690, Sec. 3"

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Reparametrise the weight of each layer, and make blocks residual."""
        net = super().wrap(net, shape)
        make_residual(self.name(), net, shape, self.coefficient)
        return net

    def check(self, net: nn.Module) -> None:
        """Raise Refusal where another constraint has broken the certified bound."""
        check_certified(self.name(), net, DividedBySigma)

    def _parametrization(self, layer: WeightedLayer, shape: torch.Size) -> CertifiedWeight:
        groups = 1 if isinstance(layer, nn.Linear) else layer.groups
        return DividedBySigma(self.coefficient, convolution_axes(layer, shape), groups, self.iterations)


class DividedBySigma(DividedByBound):
    """W -> c W / σ(W), with σ(W) the certified bound."""
