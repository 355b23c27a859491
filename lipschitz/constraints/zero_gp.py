"""0-GP: a zero-centred gradient penalty at interpolates of real and generated samples (Thanh-Tung et al. 2019)."""

import torch
from torch import Tensor, nn

from lipschitz.config import Factor
from lipschitz.constraints.base import Batch, Constraint
from lipschitz.constraints.batch_dependence import refuse_batch_dependence
from lipschitz.constraints.input_gradients import WITHOUT_GENERATED, generated_samples, input_gradients, interpolate


class ZeroGP(Constraint):
    """Pull the input gradient to zero at random interpolates: add λ E[‖∇ₓD‖²] to the loss (0-GP).

    The points are those of WGAN-GP, ε x + (1 - ε) x̃ with one ε ~ U[0, 1] per sample; the target is zero instead of one.
    Thanh-Tung et al. 2019 show that it improves generalization of the discriminator, which R1 and R2, at the samples
    themselves, do not. D is the output before any sigmoid.
    """

    source = "Thanh-Tung et al. 2019, arXiv:1902.03984, eq. 7"
    promise = "heuristic"
    double_backward = True

    weight: Factor = 100.0
    """λ, the factor of the penalty; 100 as in the paper's experiments on images."""

    def check(self, net: nn.Module) -> None:
        """Raise Refusal for batch normalization, which makes a sample's gradient depend on the whole batch."""
        refuse_batch_dependence(self.name(), net)

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return λ times the mean of ‖∇ₓD‖² over the interpolates.

        Raises:
            Refusal: the task has no generated samples.
        """
        generated = generated_samples(batch, self.name(), WITHOUT_GENERATED)
        gradients = input_gradients(net, interpolate(batch.real, generated, rng))
        penalty: Tensor = self.weight * gradients.square().sum(dim=1).mean()
        return penalty
