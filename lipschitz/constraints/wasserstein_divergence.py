"""Wasserstein divergence (WGAN-div): a penalty on a power of the norm of the input gradient at interpolates."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from lipschitz.config import Factor
from lipschitz.constraints.base import Batch, Constraint
from lipschitz.constraints.batch_dependence import refuse_batch_dependence
from lipschitz.constraints.input_gradients import (
    WITHOUT_GENERATED,
    generated_samples,
    input_gradient_norms,
    interpolate,
)


class WassersteinDivergence(Constraint):
    """Penalise the input gradient at random interpolates: add k E[‖∇ₓD‖^p] to the loss (WGAN-div).

    With the Wasserstein loss, the optimal D yields the Wasserstein divergence (Wu et al. 2018). Unlike in WGAN-GP there
    is no target value of the gradient norm. In the paper the points may have any Radon probability measure P_u. Here,
    as in the authors' code, a point is ε x + (1 - ε) x̃ with one ε ~ U[0, 1] per sample. The paper uses k = 2 and p =
    6; the authors' code uses k = 10 and p = 6.
    """

    source = "Wu et al. 2018, arXiv:1712.01026, Algorithm 1"
    promise = "heuristic"
    double_backward = True

    weight: Factor = 2.0
    """k, the factor of the penalty."""
    power: Annotated[float, Field(ge=1, le=100)] = 6.0
    """p, the power of the norm; at least 1, since the gradient is infinite at zero for p < 1."""

    def check(self, net: nn.Module) -> None:
        """Raise Refusal for batch normalization, which makes a sample's gradient depend on the whole batch."""
        refuse_batch_dependence(self.name(), net)

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return k times the mean of ‖∇ₓD‖^p over the interpolates.

        Raises:
            Refusal: the task has no generated samples.
        """
        generated = generated_samples(batch, self.name(), WITHOUT_GENERATED)
        norms = input_gradient_norms(net, interpolate(batch.real, generated, rng))
        penalty: Tensor = self.weight * norms.pow(self.power).mean()
        return penalty
