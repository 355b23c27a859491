"""Gradient penalty of WGAN-GP and its kin: the input gradient's norm is pulled to one, between samples or at them."""

from typing import Literal, Self

import torch
from pydantic import NonNegativeFloat, model_validator
from torch import Tensor, nn

from lipschitz.constraints.base import Batch, Constraint
from lipschitz.constraints.batch_dependence import refuse_batch_dependence
from lipschitz.constraints.input_gradients import generated_samples, input_gradient_norms, interpolate


class GradientPenalty(Constraint):
    """Pull ‖∇D‖ to 1 on interpolates of real and generated samples, or on other points.

    λ E[(‖∇_x̂ D(x̂)‖₂ - 1)²] with x̂ = ε x + (1 - ε) x̃, one ε ~ U[0, 1] per sample (Gulrajani et al. 2017, eq. 3 and
    Algorithm 1). The norm is taken per sample over all other axes, and its gradient is zero, not NaN, where the norm is
    zero.

    On ``perturbed_real`` points it is DRAGAN's, λ = 10 too (Kodali et al. 2017). There paper and code differ: eq. 1 of
    the paper takes x + δ with δ ~ N(0, c I) and c about 10, which on images in [-1, 1] leaves little of the image; the
    authors' code takes δ = std(x) u / 2, one std for the batch and u ~ U[0, 1) per entry, so that every shift is
    upward, and then a random point between x and x + δ. Here δ is the code's, which suits data of any scale, and
    the point is x + δ, as in the paper.
    """

    source = (
        "Gulrajani et al. 2017, arXiv:1704.00028, eq. 3; one-sided: Petzka et al. 2018, arXiv:1709.08894, eq. 8; "
        "perturbed_real: Kodali et al. 2017, arXiv:1705.07215, eq. 1"
    )
    promise = "heuristic"
    double_backward = True

    weight: NonNegativeFloat = 10.0
    """λ, the factor of the penalty."""
    one_sided: bool = False
    """Penalise only norms above 1 (Petzka et al. 2018, arXiv:1709.08894, eq. 8)."""
    points: Literal["interpolates", "real", "generated", "perturbed_real"] = "interpolates"
    """Where the gradient is taken: between real and generated samples, at either, or near real ones (DRAGAN)."""
    noise: NonNegativeFloat = 0.5
    """Largest shift of an entry of ``perturbed_real`` points, in standard deviations of the batch's entries."""

    @model_validator(mode="after")
    def _noise_is_used(self) -> Self:
        if self.noise != type(self).model_fields["noise"].default and self.points != "perturbed_real":
            raise ValueError(f"noise moves perturbed_real points alone, not {self.points}")
        return self

    def check(self, net: nn.Module) -> None:
        """Refuse batch normalisation: the gradient of one sample's output is then not a function of that sample."""
        refuse_batch_dependence(self.name(), net)

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return λ times the mean squared excess of the gradient norm over one.

        Raises:
            ValueError: the points need generated samples, which this task has none of.
        """
        excess = input_gradient_norms(net, self._points(batch, rng)) - 1
        if self.one_sided:
            excess = excess.relu()
        penalty: Tensor = self.weight * excess.square().mean()
        return penalty

    def _points(self, batch: Batch, rng: torch.Generator) -> Tensor:
        match self.points:
            case "real":
                return batch.real
            case "perturbed_real":
                return perturb(batch.real, self.noise, rng)
        generated = generated_samples(batch, f"{self.name()} on {self.points}", "points: real or perturbed_real")
        return generated if self.points == "generated" else interpolate(batch.real, generated, rng)


def perturb(real: Tensor, noise: float, rng: torch.Generator) -> Tensor:
    """Return ``real + noise * std * u``, ``(n, ...)``, with u ~ U[0, 1) per entry.

    The standard deviation is that of all entries of the batch together, with n in its denominator.
    """
    u = torch.rand(real.shape, generator=rng, device=real.device, dtype=real.dtype)
    return real + noise * real.std(correction=0) * u
