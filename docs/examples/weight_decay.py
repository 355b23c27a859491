"""A constraint of your own: weight decay."""

import torch
from torch import Tensor, nn

from lipschitz.constraints.base import Batch, Constraint
from lipschitz.observe import observe


class WeightDecay(Constraint):
    """Add λ Σ ‖W‖² over all parameters to the discriminator's loss."""

    source = "Krogh and Hertz 1991, A simple weight decay can improve generalization"
    promise = "heuristic"

    weight: float = 0.01
    """λ, the factor of the penalty."""

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return λ Σ ‖W‖², and record Σ ‖W‖²."""
        norm = torch.stack([parameter.square().sum() for parameter in net.parameters()]).sum()
        observe("squared_weights", norm)
        return self.weight * norm
