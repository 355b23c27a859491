"""Weight clipping (WGAN): every weight is clipped to [-c, c] after each update."""

import torch
from torch import nn

from lipschitz.config import Bound
from lipschitz.constraints.base import Constraint
from lipschitz.estimation.layers import raw_weight, weighted_layers


class WeightClipping(Constraint):
    """Clip the weights of Linear and convolution layers to [-c, c] after each update.

    w <- clip(w, -c, c), line 7 of Algorithm 1 of Arjovsky et al. 2017. Parameters of normalization layers are not
    clipped. If a layer is reparametrised, its raw (trained) weight is clipped.
    """

    source = "Arjovsky et al. 2017, arXiv:1701.07875, Algorithm 1"
    promise = "heuristic"
    start = "normal"

    c: Bound = 0.01
    """Largest absolute value of a weight."""
    biases: bool = True
    """Whether to clip the biases of these layers too, as in the paper's algorithm."""
    initial: bool = False
    """Whether to clip the initial weights too. If not, training starts from the same weights as all other methods."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Clip the initial weights if ``initial`` is true."""
        if self.initial:
            self.project(net)
        return net

    def project(self, net: nn.Module) -> None:
        """Clip in place, all layers in two fused calls."""
        parameters = []
        for _, layer in weighted_layers(net):
            parameters.append(raw_weight(layer).detach())
            if self.biases and layer.bias is not None:
                parameters.append(layer.bias.detach())
        torch._foreach_clamp_min_(parameters, -self.c)
        torch._foreach_clamp_max_(parameters, self.c)
