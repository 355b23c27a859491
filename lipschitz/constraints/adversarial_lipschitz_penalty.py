"""ALP: a penalty on the slope from each sample to an adversarially chosen point near it (Terjék 2020)."""

from typing import Annotated, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from lipschitz.config import Bound, Factor, Iterations
from lipschitz.constraints.base import Batch, Constraint
from lipschitz.constraints.batch_dependence import refuse_batch_dependence
from lipschitz.constraints.power_iteration import EPSILON

Distance = Annotated[float, Field(gt=0, le=1e6)]
"""A Euclidean distance of two samples."""


class AdversarialLipschitzPenalty(Constraint):
    """Penalise slopes above K between each sample and an adversarial neighbour: add λ E[(|ΔD| / ‖r‖ - K)₊²] (ALP).

    ΔD = D(x + r) - D(x), for all real and generated samples x. The direction of r is the one in which |ΔD| grows most:
    it starts at random, and each step replaces it by the normalised gradient of the batch's mean |D(x + ξ d) - D(x)|
    with respect to d, as in virtual adversarial training. The length of r is drawn from U[ε_min, ε_max] for each
    sample. Unlike a gradient penalty this bounds finite slopes, and needs no second derivative: the adversarial points
    are constants.

    The arithmetic is that of the authors' code, which clips points to the range of images, [-1, 1]. Here points outside
    are clipped to the range of the batch, which suits data of any range.
    """

    source = "Terjék 2020, arXiv:1907.05681, Sec. 4"
    promise = "heuristic"

    weight: Factor = 10.0
    """λ, the factor of the penalty; the authors' code has 10."""
    bound: Bound = 1.0
    """K, the largest slope without a penalty."""
    nearest: Distance = 0.1
    """ε_min, the least length of r."""
    farthest: Distance = 10.0
    """ε_max, the largest length of r."""
    reach: Distance = 10.0
    """ξ, the length at which the direction is looked for."""
    power_iterations: Iterations = 1
    """Steps towards the steepest direction."""

    @model_validator(mode="after")
    def _lengths_are_ordered(self) -> Self:
        if self.nearest > self.farthest:
            raise ValueError(f"nearest {self.nearest:g} is above farthest {self.farthest:g}")
        return self

    def check(self, net: nn.Module) -> None:
        """Raise Refusal for batch normalization, which makes an output depend on the whole batch."""
        refuse_batch_dependence(self.name(), net)

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return λ times the mean of (|ΔD| / ‖r‖ - K)₊² over real and, where there are any, generated samples."""
        samples = torch.cat([batch.real] if batch.fake is None else [batch.real, batch.fake]).detach()
        outputs = net(samples)
        neighbours = self._neighbours(net, samples, outputs.detach(), rng)
        lengths = _norms(neighbours - samples).clamp_min(EPSILON)
        slopes = (net(neighbours) - outputs).flatten().abs() / lengths
        penalty: Tensor = self.weight * (slopes - self.bound).relu().square().mean()
        return penalty

    def _neighbours(self, net: nn.Module, samples: Tensor, outputs: Tensor, rng: torch.Generator) -> Tensor:
        """Return x + r for each of ``samples`` ``(n, ...)`` with D's ``outputs`` ``(n, 1)``, without a graph."""

        def uniform(*shape: int) -> Tensor:
            return torch.rand(shape, generator=rng, device=samples.device, dtype=samples.dtype)

        low, high = samples.amin(), samples.amax()
        lengths = self.nearest + (self.farthest - self.nearest) * uniform(len(samples), *[1] * (samples.dim() - 1))
        direction = _unit(uniform(*samples.shape) - 0.5)
        for _ in range(self.power_iterations):
            direction.requires_grad_()
            moved = torch.clamp(samples + self.reach * direction, low, high)
            distance = (net(moved) - outputs).abs().mean()
            direction = _unit(torch.autograd.grad(distance, direction)[0])
        return torch.clamp(samples + lengths * direction, low, high)


def _norms(samples: Tensor) -> Tensor:
    """Return the Euclidean norm of each sample of ``(n, ...)``, as ``(n,)``."""
    norms: Tensor = torch.linalg.vector_norm(samples.flatten(1), dim=1)
    return norms


def _unit(directions: Tensor) -> Tensor:
    """Divide each sample by its norm; one of norm zero stays zero."""
    norms = _norms(directions).clamp_min(EPSILON)
    return directions / norms.view(-1, *[1] * (directions.dim() - 1))
