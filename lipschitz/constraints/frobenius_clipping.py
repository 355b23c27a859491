"""Frobenius clipping: every weight is projected onto a Frobenius ball after each update."""

import torch
from pydantic import PositiveFloat
from torch import nn

from lipschitz.constraints.base import Constraint
from lipschitz.estimation.layers import raw_weight, weighted_layers


class FrobeniusClipping(Constraint):
    """Scale every weight back to ‖W‖_F <= c after each update.

    W <- W / max(1, ‖W‖_F / c), the projection of Gouk et al. 2018, Sec. 4, in the Frobenius norm, for which it gives
    the nearest point of the ball. σ of the reshaped kernel is then at most c, and equals c only where W has rank one.
    Of a reparametrised layer it is the trained weight that is scaled.
    """

    source = "Gouk et al. 2018, arXiv:1804.04368, Sec. 4 and Algorithm 2, in the Frobenius norm"
    promise = "heuristic"

    c: PositiveFloat = 1.0
    """Radius of the ball: largest Frobenius norm of a weight."""

    def project(self, net: nn.Module) -> None:
        """Scale in place; a weight inside the ball stays as it is, bit for bit."""
        weights = [raw_weight(layer).detach() for _, layer in weighted_layers(net)]
        norms = torch.stack(torch._foreach_norm(weights))
        torch._foreach_div_(weights, (norms / self.c).clamp(min=1).unbind())
