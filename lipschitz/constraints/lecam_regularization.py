"""LeCam regularization: pull D's outputs on real samples to their running mean on generated ones, and the reverse."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from lipschitz.config import Factor
from lipschitz.constraints.base import Batch, Constraint
from lipschitz.estimation.fixed_labels import without_labels


class LeCamRegularization(Constraint):
    """Pull D(x) to the running mean of D(G(z)), and D(G(z)) to that of D(x): add λ times their squared distances.

    λ (E[(D(x) - α_F)²] + E[(D(G(z)) - α_R)²]), where the anchors α_R and α_F are exponential moving averages over
    updates of the batch means of D(x) and D(G(z)), of decay γ and treated as constants (Tseng et al. 2021). Outputs are
    those of the loss's forward pass, so the method costs no pass. It limits D's outputs, not its slope. λ = 0.3 and
    γ = 0.99 are those of the authors' BigGAN on CIFAR-10.

    The anchors contain the present batch, as in the authors' code. Here they are divided by the sum of their weights,
    1 - γᵗ after t updates, so that the first anchors are the first means. The authors' code adds the penalty after
    1,000 iterations only, and squares max(D(x) - α_F, 0) and max(α_R - D(G(z)), 0); here it is the paper's formula.
    """

    source = "Tseng et al. 2021, arXiv:2104.03310"
    promise = "heuristic"
    start = "normal"

    weight: Factor = 0.3
    """λ, the factor of the penalty."""
    decay: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """γ, the decay of the moving averages."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Register the averages, as buffers ``lecam_means`` ``(2,)``, and their sum of weights ``lecam_weight``."""
        zeros = next(net.parameters()).new_zeros(3)
        net.register_buffer("lecam_means", zeros[:2].clone())
        net.register_buffer("lecam_weight", zeros[2].clone())
        return net

    def track(self, net: nn.Module, batch: Batch) -> None:
        """Update the averages of D(x) and D(G(z))."""
        means = torch.stack([outputs.mean() for outputs in batch.outputs(self.name())])
        net.get_buffer("lecam_means").lerp_(means, 1 - self.decay)
        net.get_buffer("lecam_weight").mul_(self.decay).add_(1 - self.decay)

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return λ times the mean squared distances of outputs to the anchors, which are zero before any update.

        Raises:
            ValueError: the batch has no outputs.
        """
        net = without_labels(net)
        weight = net.get_buffer("lecam_weight")
        of_real, of_fake = net.get_buffer("lecam_means") / weight.clamp_min(torch.finfo(weight.dtype).tiny)
        real, fake = batch.outputs(self.name())
        distances: Tensor = (real - of_fake).square().mean() + (fake - of_real).square().mean()
        return self.weight * distances
