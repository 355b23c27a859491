"""MaxGP: a penalty on the square of the largest input gradient norm of a batch (Zhou et al. 2019)."""

import torch
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


class MaxGradientPenalty(Constraint):
    """Penalise the steepest of the random interpolates: add λ (max ‖∇ₓD‖)² to the loss (MaxGP).

    Zhou et al. 2019 penalise the Lipschitz constant itself, and approximate it by the largest gradient norm at
    interpolates of real and generated samples. Unlike in WGAN-GP there is no target value, and one sample of the batch
    alone has a gradient. The paper's equation has a free λ; the default here is 1.
    """

    source = "Zhou et al. 2019, arXiv:1902.05687, Sec. 4"
    promise = "heuristic"
    double_backward = True

    weight: Factor = 1.0
    """λ, the factor of the penalty."""

    def check(self, net: nn.Module) -> None:
        """Raise Refusal for batch normalization, which makes a sample's gradient depend on the whole batch."""
        refuse_batch_dependence(self.name(), net)

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return λ times the square of the largest ‖∇ₓD‖ over the interpolates.

        Raises:
            Refusal: the task has no generated samples.
        """
        generated = generated_samples(batch, self.name(), WITHOUT_GENERATED)
        norms = input_gradient_norms(net, interpolate(batch.real, generated, rng))
        penalty: Tensor = self.weight * norms.max().square()
        return penalty
