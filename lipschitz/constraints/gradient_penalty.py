"""Gradient penalty of WGAN-GP: the input gradient's norm is pulled to one between real and generated samples."""

from typing import ClassVar, Literal

import torch
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from lipschitz.constraints.base import Batch, Constraint
from lipschitz.constraints.batch_dependence import refuse_batch_dependence


class GradientPenalty(Constraint):
    """Pull ‖∇D‖ to 1 on random interpolates of real and generated samples.

    λ E[(‖∇_x̂ D(x̂)‖₂ - 1)²] with x̂ = ε x + (1 - ε) x̃, one ε ~ U[0, 1] per sample (Gulrajani et al. 2017, eq. 3 and
    Algorithm 1). The norm is taken per sample over all other axes, and its gradient is zero, not NaN, where the norm is
    zero.
    """

    source: ClassVar[str] = "Gulrajani et al. 2017, arXiv:1704.00028, eq. 3"
    promise: ClassVar[Literal["certified", "heuristic", "none"]] = "heuristic"
    double_backward: ClassVar[bool] = True

    weight: NonNegativeFloat = 10.0
    """λ, the factor of the penalty."""
    one_sided: bool = False
    """Penalise only norms above 1 (Petzka et al. 2018, arXiv:1709.08894, eq. 8)."""

    def check(self, net: nn.Module) -> None:
        """Refuse batch normalisation: the gradient of one sample's output is then not a function of that sample."""
        refuse_batch_dependence(self.name(), net)

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return λ times the mean squared excess of the gradient norm over one."""
        if batch.fake is None:
            raise ValueError(
                "gradient_penalty interpolates between real and generated samples; this task generates none"
            )
        points = interpolate(batch.real, batch.fake, rng).requires_grad_()
        (gradients,) = torch.autograd.grad(net(points).sum(), points, create_graph=True)
        excess = torch.linalg.vector_norm(gradients.flatten(1), dim=1) - 1
        if self.one_sided:
            excess = excess.relu()
        penalty: Tensor = self.weight * excess.square().mean()
        return penalty


def interpolate(real: Tensor, generated: Tensor, rng: torch.Generator) -> Tensor:
    """Return ε real + (1 - ε) generated, ``(n, ...)``, with one ε ~ U[0, 1] per sample."""
    shape = (len(real),) + (1,) * (real.dim() - 1)
    epsilon = torch.rand(shape, generator=rng, device=real.device, dtype=real.dtype)
    return torch.lerp(generated, real, epsilon)
