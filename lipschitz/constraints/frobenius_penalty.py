"""Frobenius norm penalty: L2 weight decay, a penalty on an upper bound of every layer's spectral norm."""

import torch
from torch import Tensor, nn

from lipschitz.config import Bound, Factor
from lipschitz.constraints.base import Batch, Constraint
from lipschitz.constraints.tied_weights import distinct_layers


class FrobeniusPenalty(Constraint):
    """Penalise the squared Frobenius norm of every layer (weight decay): add λ/2 Σ ‖W‖_F² to the loss.

    ‖W‖_F² is the sum of all squared singular values, so ‖W‖₂ <= ‖W‖_F <= √rank(W) ‖W‖₂. A small ‖W‖_F implies a small
    spectral norm, but all singular values are penalised, not only the largest (compared in Yoshida & Miyato 2017, Sec.
    3). For a convolution this bounds the spectral norm of the reshaped kernel, not of the convolution as an operator.
    The penalty is part of the loss, so Adam rescales its gradient, unlike the decoupled weight decay of AdamW
    (arXiv:1711.05101). A weight that layers share counts once.
    """

    source = "Yoshida & Miyato 2017, arXiv:1705.10941, Sec. 3 (weight decay)"
    promise = "heuristic"

    weight: Factor = 1e-4
    """λ, the factor of the penalty."""
    above: Bound | None = None
    """c, a threshold: the penalty is then λ/2 Σ max(‖W‖_F - c, 0)². This is λ/2 times the squared distance to the balls
    onto which frobenius_clipping projects. null for no threshold."""

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return the penalty of the effective weights; its gradient is zero, not NaN, for a zero weight."""
        norms = torch.stack([torch.linalg.vector_norm(layer.weight) for _, layer in distinct_layers(net)])
        if self.above is not None:
            norms = (norms - self.above).relu()
        return self.weight / 2 * norms.square().sum()
