"""Gradient penalty of WGAN-GP, its one-sided form, and DRAGAN: pull the norm of the input gradient to one."""

from typing import Literal, Self

import torch
from pydantic import model_validator
from torch import Tensor, nn

from lipschitz.config import Factor
from lipschitz.constraints.base import Batch, Constraint, Refusal
from lipschitz.constraints.batch_dependence import refuse_batch_dependence
from lipschitz.constraints.input_gradients import generated_samples, input_gradient_norms, interpolate
from lipschitz.estimation.fixed_labels import Labelled


class GradientPenalty(Constraint):
    """Pull ‖∇ₓD‖ to one: add λ E[(‖∇ₓD‖ - 1)²] to the loss, by default at random interpolates (WGAN-GP).

    λ E[(‖∇_x̂ D(x̂)‖₂ - 1)²] with x̂ = ε x + (1 - ε) x̃, one ε ~ U[0, 1] per sample (Gulrajani et al. 2017, eq. 3 and
    Algorithm 1). The norm is taken per sample over all other axes. Where the norm is zero, its gradient is zero, not
    NaN.

    With ``points: perturbed_real`` this is the penalty of DRAGAN, also with λ = 10 (Kodali et al. 2017). Paper and code
    of DRAGAN differ. The paper (eq. 1) uses the point x + δ with δ ~ N(0, c I) and c about 10, which is larger than the
    range of images in [-1, 1]. The authors' code uses δ = std(x) u / 2, with one std for the batch and u ~ U[0, 1) per
    entry, so that all shifts are upward, and then a random point between x and x + δ. Here δ is that of the code, which
    suits data of any scale, and the point is x + δ, as in the paper. ``points: between_real_and_perturbed`` takes
    x + α δ with one α ~ U[0, 1] per sample, as the code.
    """

    source = (
        "Gulrajani et al. 2017, arXiv:1704.00028, eq. 3; one-sided: Petzka et al. 2018, arXiv:1709.08894, eq. 8; "
        "perturbed_real: Kodali et al. 2017, arXiv:1705.07215, eq. 1"
    )
    promise = "heuristic"
    double_backward = True

    weight: Factor = 10.0
    """λ, the factor of the penalty."""
    one_sided: bool = False
    """Whether to penalise only norms above 1 (Petzka et al. 2018, arXiv:1709.08894, eq. 8)."""
    points: Literal["interpolates", "real", "generated", "perturbed_real", "between_real_and_perturbed"] = (
        "interpolates"
    )
    """Where the gradient is taken: between real and generated samples, at real or generated ones, near real ones, or
    between real ones and those near them."""
    noise: Factor = 0.5
    """Largest shift of an entry of perturbed real points, in standard deviations of all entries of the batch."""

    @model_validator(mode="after")
    def _noise_is_used(self) -> Self:
        if self.noise != type(self).model_fields["noise"].default and "perturbed" not in self.points:
            raise ValueError(f"noise moves perturbed_real points alone, not {self.points}")
        return self

    def check(self, net: nn.Module) -> None:
        """Raise Refusal for batch normalization, which makes a sample's gradient depend on the whole batch."""
        refuse_batch_dependence(self.name(), net)

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return λ times the mean of (‖∇ₓD‖ - 1)² over the points, or of max(‖∇ₓD‖ - 1, 0)² if one-sided.

        Raises:
            Refusal: ``points`` needs generated samples and the task has none; or the two-sided penalty would pull the
                gradient of a classifier's loss to one.
        """
        points = self._points(batch, rng)
        if not self.one_sided and isinstance(net, Labelled) and net.is_loss:
            raise Refusal(
                "gradient_penalty pulls the gradient of the loss to one, also where an image is fitted; allowed: "
                "one_sided: true, zero_centered_penalty, or the task's gradient_of: logit or margin"
            )
        excess = input_gradient_norms(net, points) - 1
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
            case "between_real_and_perturbed":
                return interpolate(perturb(batch.real, self.noise, rng), batch.real, rng)
        generated = generated_samples(batch, f"{self.name()} on {self.points}", "points: real or perturbed_real")
        return generated if self.points == "generated" else interpolate(batch.real, generated, rng)


def perturb(real: Tensor, noise: float, rng: torch.Generator) -> Tensor:
    """Return ``real + noise * std * u``, ``(n, ...)``, with u ~ U[0, 1) per entry.

    std is the standard deviation of all entries of the batch together, without Bessel's correction.
    """
    u = torch.rand(real.shape, generator=rng, device=real.device, dtype=real.dtype)
    return real + noise * real.std(correction=0) * u
