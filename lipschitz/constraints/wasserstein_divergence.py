"""Penalty of WGAN-div: a power of the input gradient's norm between real and generated samples."""

from typing import Annotated

import torch
from pydantic import Field, NonNegativeFloat
from torch import Tensor, nn

from lipschitz.constraints.base import Batch, Constraint
from lipschitz.constraints.batch_dependence import refuse_batch_dependence
from lipschitz.constraints.input_gradients import generated_samples, input_gradient_norms, interpolate


class WassersteinDivergence(Constraint):
    """Add k E‖∇D‖^p on random interpolates of real and generated samples.

    With the Wasserstein loss this is WGAN-div (Wu et al. 2018): the best D of that objective gives the Wasserstein
    divergence, and no value of the norm is aimed at. The paper lets P_u, the law of the points, be any Radon
    probability measure; here, as in the authors' code, a point is ε x + (1 - ε) x̃ with one ε ~ U[0, 1] per sample.
    k = 2 and p = 6 are the paper's; that code takes p = 6 and k = 10.
    """

    source = "Wu et al. 2018, arXiv:1712.01026, Algorithm 1"
    promise = "heuristic"
    double_backward = True

    weight: NonNegativeFloat = 2.0
    """k, the factor of the penalty."""
    power: Annotated[float, Field(ge=1)] = 6.0
    """p, the power of the norm; below 1 its gradient would be infinite where the norm is zero."""

    def check(self, net: nn.Module) -> None:
        """Refuse batch normalisation: the gradient of one sample's output is then not a function of that sample."""
        refuse_batch_dependence(self.name(), net)

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return k times the mean of the gradient norm's p-th power.

        Raises:
            ValueError: the task has no generated samples.
        """
        generated = generated_samples(batch, self.name(), "tasks that generate")
        norms = input_gradient_norms(net, interpolate(batch.real, generated, rng))
        penalty: Tensor = self.weight * norms.pow(self.power).mean()
        return penalty
