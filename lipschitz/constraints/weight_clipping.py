"""Weight clipping: every weight is clamped to [-c, c] after each update."""

import torch
from pydantic import PositiveFloat
from torch import nn

from lipschitz.constraints.base import Constraint
from lipschitz.estimation.layers import raw_weight, weighted_layers


class WeightClipping(Constraint):
    """Clamp the weights of Linear and convolution layers to [-c, c] after each update.

    w <- clip(w, -c, c), Algorithm 1, line 7 of Arjovsky et al. 2017. A norm layer's parameters are never clipped: its γ
    is a scale, not a weight of the critic's family.
    """

    source = "Arjovsky et al. 2017, arXiv:1701.07875, Algorithm 1"
    promise = "heuristic"

    c: PositiveFloat = 0.01
    """Largest absolute value of a weight."""
    biases: bool = True
    """Whether the biases of the same layers are clipped too, as in the paper's algorithm."""
    initial: bool = False
    """Whether the initial weights are clipped too; else the first update starts from those of every other method."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Clamp the initial weights where ``initial`` says so."""
        if self.initial:
            self.project(net)
        return net

    def project(self, net: nn.Module) -> None:
        """Clamp in place, all layers in two fused calls."""
        parameters = []
        for _, layer in weighted_layers(net):
            parameters.append(raw_weight(layer).detach())
            if self.biases and layer.bias is not None:
                parameters.append(layer.bias.detach())
        torch._foreach_clamp_min_(parameters, -self.c)
        torch._foreach_clamp_max_(parameters, self.c)
