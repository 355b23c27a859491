"""Input-gradient norms and Jacobian norms of a network: how steep autograd says that it is at given points."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Network = Callable[[Tensor], Tensor]

POWER_ITERATIONS = 20
"""Steps of power iteration on the Jacobian of a network with several outputs."""


class JacobianNorms(NamedTuple):
    """The norm of a network's Jacobian at each of n points, and the direction of steepest change."""

    norms: Tensor
    """``(n,)``: largest singular value of the Jacobian, from below; a NaN in the Jacobian counts as zero."""
    directions: Tensor
    """Right singular vectors ``(n, ...)`` of norm one, in the shape of the points; zero where the Jacobian is zero."""

    @classmethod
    def of(cls, gradients: Tensor) -> "JacobianNorms":
        """Return norms and directions of ``gradients`` ``(n, ...)``."""
        gradients = gradients.nan_to_num(nan=0.0)
        norms = sample_norms(gradients)
        return cls(norms, gradients / per_sample(one_where_zero(norms), gradients))


def input_gradients(net: Network, points: Tensor, batch: int | None = None) -> Tensor:
    """Return ∇ₓ net(x) at each of ``points`` ``(n, ...)``, in their shape, of a ``net`` (n, ...) -> (n, 1) or (n,).

    Gradients of the parameters and the graph of ``points`` are left as they are. ``batch``: most points at once.
    """
    found = []
    for part in torch.split(points.detach(), batch or len(points)):
        with torch.enable_grad():
            part = part.requires_grad_()
            found.append(torch.autograd.grad(outputs_of(net, part).sum(), part)[0])
    return torch.cat(found)


def jacobian_norms(
    net: Network,
    points: Tensor,
    rng: torch.Generator,
    *,
    batch: int | None = None,
    power_iterations: int = POWER_ITERATIONS,
) -> JacobianNorms:
    """Return the spectral norm of the Jacobian J of ``net`` at each of ``points`` ``(n, ...)``, from below.

    With one output per sample this is the norm of the gradient. With several, power iteration on JᵀJ from a random
    start: ‖Jᵀ u‖ <= ‖J‖ for every unit vector u, so any number of steps gives a lower bound, and any error of J v as
    well. J v is a central difference of outputs, so that the network need not be differentiable twice.

    Args:
        net: ``(n, ...)`` -> ``(n, ...)``, each sample independent of the others.
        points: floating dtype.
        rng: for the random start; on the CPU.
        batch: most points at once.
        power_iterations: with several outputs, each costs two forward passes and a backward pass.
    """
    gradients = [
        _steepest(net, part, rng, power_iterations) for part in torch.split(points.detach(), batch or len(points))
    ]
    return JacobianNorms.of(torch.cat(gradients))


def _steepest(net: Network, points: Tensor, rng: torch.Generator, power_iterations: int) -> Tensor:
    """Return Jᵀ u at each of ``points``, where u is one, or found by power iteration."""
    with torch.enable_grad():
        points = points.requires_grad_()
        outputs = outputs_of(net, points)
    u = torch.ones_like(outputs)
    if outputs.shape[1] == 1:
        return _vector_jacobian_product(outputs, points, u, last=True)
    u = torch.randn(outputs.shape, generator=rng, dtype=points.dtype).to(points.device)
    sizes = sample_norms(points.detach())
    step = torch.finfo(points.dtype).eps ** (1 / 3) * one_where_zero(torch.maximum(sizes, sizes.mean()))
    for _ in range(power_iterations):
        gradients = _vector_jacobian_product(outputs, points, _unit(u))
        shift = _unit(gradients) * per_sample(step, gradients)
        with torch.no_grad():
            u = outputs_of(net, points + shift) - outputs_of(net, points - shift)
        u = torch.where((sample_norms(u) > 0)[:, None], u, torch.ones_like(u))
    return _vector_jacobian_product(outputs, points, _unit(u), last=True)


def sample_norms(values: Tensor) -> Tensor:
    """Return the Euclidean norm of each sample of ``values`` ``(n, ...)`` as ``(n,)``."""
    norms: Tensor = torch.linalg.vector_norm(values.flatten(1) if values.dim() > 1 else values[:, None], dim=1)
    return norms


def one_where_zero(values: Tensor) -> Tensor:
    """Return ``values`` >= 0 with each zero replaced by one, for use as a divisor."""
    return torch.where(values > 0, values, torch.ones_like(values))


def per_sample(values: Tensor, like: Tensor) -> Tensor:
    """Reshape ``values`` ``(m,)`` so that they broadcast over the samples of ``like`` ``(m, ...)``."""
    return values.view(-1, *[1] * (like.dim() - 1))


def outputs_of(net: Network, points: Tensor) -> Tensor:
    """Return the outputs of ``net`` for each of ``points`` ``(n, ...)`` as ``(n, outputs)``.

    The network gets a copy of the points, because it may change its input in place.
    """
    return net(points.clone()).reshape(len(points), -1)


def _unit(values: Tensor) -> Tensor:
    return values / per_sample(one_where_zero(sample_norms(values)), values)


def _vector_jacobian_product(outputs: Tensor, inputs: Tensor, vector: Tensor, *, last: bool = False) -> Tensor:
    (gradients,) = torch.autograd.grad(
        outputs, inputs, vector, retain_graph=not last, allow_unused=True, materialize_grads=True
    )
    return gradients
