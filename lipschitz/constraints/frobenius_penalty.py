"""Frobenius penalty: weight decay, seen as a penalty on an upper bound of every layer's σ."""

import torch
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from lipschitz.constraints.base import Batch, Constraint
from lipschitz.estimation.layers import weighted_layers


class FrobeniusPenalty(Constraint):
    """Add λ/2 Σ ‖W‖_F² over the layers to the loss: weight decay as a Lipschitz penalty.

    ‖W‖_F² is the sum of all squared singular values, so that ‖W‖₂ <= ‖W‖_F <= √rank(W) ‖W‖₂: where it is small σ is
    small too, but every direction pays, not the largest alone (compared by Yoshida & Miyato 2017, Sec. 3). The entries
    of a kernel are those of its reshaped matrix, so of a convolution this bounds what σ of that matrix bounds, no more.
    It is a term of the loss, which Adam rescales: not the decoupled decay of AdamW (arXiv:1711.05101).
    """

    source = "Yoshida & Miyato 2017, arXiv:1705.10941, Sec. 3 (weight decay)"
    promise = "heuristic"

    weight: NonNegativeFloat = 1e-4
    """λ, the factor of the penalty."""
    above: PositiveFloat | None = None
    """c: penalise only what exceeds it, by λ/2 Σ max(‖W‖_F - c, 0)², half of λ times the squared distance to the balls
    that frobenius_clipping projects onto."""

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return λ/2 times the sum of squares; the gradient is zero, not NaN, where a weight is zero."""
        norms = torch.stack([torch.linalg.vector_norm(layer.weight) for _, layer in weighted_layers(net)])
        if self.above is not None:
            norms = (norms - self.above).relu()
        return self.weight / 2 * norms.square().sum()
