"""Frobenius norm clipping: projection of every weight onto a ball in the Frobenius norm after each update."""

import torch
from torch import nn

from lipschitz.config import Bound
from lipschitz.constraints.base import Constraint
from lipschitz.constraints.tied_weights import divide_each_once
from lipschitz.estimation.layers import raw_weight, weighted_layers


class FrobeniusClipping(Constraint):
    """Project every weight onto the ball ‖W‖_F <= c after each update.

    W <- W / max(1, ‖W‖_F / c), as in Gouk et al. 2018, Sec. 4, but in the Frobenius norm, where this is the nearest
    point of the ball. The spectral norm of the reshaped kernel is then at most c, and equals c only if W has rank one.
    If the layer is reparametrised, the raw (trained) weight is projected. A weight that layers share is projected once.
    """

    source = "Gouk et al. 2018, arXiv:1804.04368, Sec. 4 and Algorithm 2, in the Frobenius norm"
    promise = "heuristic"

    c: Bound = 1.0
    """Radius of the ball: the largest allowed Frobenius norm of a weight."""

    def project(self, net: nn.Module) -> None:
        """Project in place; a weight inside the ball stays bit-identical."""
        weights = [raw_weight(layer) for _, layer in weighted_layers(net)]
        norms = torch.stack(torch._foreach_norm([weight.detach() for weight in weights]))
        divide_each_once(weights, (norms / self.c).clamp(min=1).unbind())
