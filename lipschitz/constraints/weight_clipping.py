"""Weight clipping (WGAN): every weight is clipped to [-c, c] after each update."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from lipschitz.config import Bound
from lipschitz.constraints.base import Constraint

NORMALIZATION = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


class WeightClipping(Constraint):
    """Clip every weight of the network to [-c, c] after each update.

    w <- clip(w, -c, c), line 7 of Algorithm 1 of Arjovsky et al. 2017. Clipped are the weights of layers, and trained
    factors such as γ of self-attention, but not the parameters of normalization layers. If a layer is reparametrised,
    its raw (trained) weight is clipped.
    """

    source = "Arjovsky et al. 2017, arXiv:1701.07875, Algorithm 1"
    promise = "heuristic"
    start = "normal"

    c: Bound = 0.01
    """Largest absolute value of a weight."""
    biases: bool = True
    """Whether to clip biases too, as in the paper's algorithm."""
    initial: bool = False
    """Whether to clip the initial weights too. If not, training starts from the same weights as all other methods."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Clip the initial weights if ``initial`` is true."""
        if self.initial:
            self.project(net)
        return net

    def project(self, net: nn.Module) -> None:
        """Clip in place, everything in two fused calls."""
        parameters = self._clipped(net)
        torch._foreach_clamp_min_(parameters, -self.c)
        torch._foreach_clamp_max_(parameters, self.c)

    def _clipped(self, net: nn.Module) -> list[Tensor]:
        return [
            parameter.detach()
            for module in net.modules()
            if not isinstance(module, NORMALIZATION)
            for name, parameter in module.named_parameters(recurse=False)
            if self.biases or name != "bias"
        ]
