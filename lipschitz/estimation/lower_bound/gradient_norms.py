"""Input-gradient norms: an empirical lower bound on a network's Lipschitz constant, and where a penalty acts."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Network = Callable[[Tensor], Tensor]

STEPS = 20
"""Steps of power iteration on the Jacobian of a network with several outputs."""


class Steepest(NamedTuple):
    """How fast a network changes at most at each of n points, and along which way."""

    norms: Tensor
    """``(n,)``: largest singular value of the Jacobian, from below; NaN in it counts as zero."""
    directions: Tensor
    """``(n, ...)``: of norm one, as the points; zero where the Jacobian is."""


def gradient_norms(net: Network, points: Tensor) -> Tensor:
    """Return ‖∇ₓ net(x)‖₂ for each sample of ``points`` ``(n, ...)`` as ``(n,)``, the norm over all axes but the first.

    Every value is a lower bound of the Lipschitz constant of a scalar ``net`` (n, ...) -> (n, 1) that treats samples
    apart. Neither the parameters' gradients nor the points' graph are touched.
    """
    with torch.enable_grad():
        points = points.detach().requires_grad_()
        (gradients,) = torch.autograd.grad(_applied(net, points).sum(), points)
    return sizes(gradients)


def steepest(net: Network, points: Tensor, rng: torch.Generator) -> Steepest:
    """Return the norm of the Jacobian of ``net`` at each of ``points`` ``(n, ...)``, and its right singular vector.

    For one output per sample that is the gradient. For more, power iteration on JᵀJ from a random start; ‖Jᵀ u‖ <= ‖J‖
    for every unit vector u, so that any number of steps gives a lower bound. J itself is applied as the derivative of
    u -> Jᵀ u, which is linear: reverse mode twice.

    Args:
        net: ``(n, ...)`` -> ``(n, ...)``, each sample treated apart.
        points: where; floating.
        rng: for the start; on the CPU.
    """
    with torch.enable_grad():
        points = points.detach().requires_grad_()
        outputs = _applied(net, points).flatten(1)
        u = torch.randn(outputs.shape, generator=rng, dtype=points.dtype).to(points.device)
        if outputs.shape[1] == 1:
            gradients = _pulled_back(outputs, points, torch.ones_like(u))
        else:
            dual = torch.zeros_like(outputs, requires_grad=True)
            linear = _pulled_back(outputs, points, dual, differentiable=True)
            for _ in range(STEPS):
                u = u / positive(sizes(u))[:, None]
                gradients = _pulled_back(outputs, points, u)
                u = _pulled_back(linear, dual, gradients)
            gradients = _pulled_back(outputs, points, u / positive(sizes(u))[:, None])
    gradients = gradients.nan_to_num(nan=0.0)
    norms = sizes(gradients)
    return Steepest(norms, gradients / positive(norms).view(-1, *[1] * (points.dim() - 1)))


def sizes(values: Tensor) -> Tensor:
    """Return the Euclidean norm of each sample of ``values`` ``(n, ...)`` as ``(n,)``."""
    norms: Tensor = torch.linalg.vector_norm(values.flatten(1), dim=1)
    return norms


def positive(values: Tensor) -> Tensor:
    """Return ``values``, which are not negative, with one in place of zero: something to divide by."""
    return torch.where(values > 0, values, torch.ones_like(values))


def _applied(net: Network, points: Tensor) -> Tensor:
    """Apply ``net`` to a copy: a network may change its input in place."""
    return net(points.clone())


def _pulled_back(outputs: Tensor, inputs: Tensor, by: Tensor, *, differentiable: bool = False) -> Tensor:
    (gradients,) = torch.autograd.grad(
        outputs, inputs, by, retain_graph=True, create_graph=differentiable, allow_unused=True, materialize_grads=True
    )
    return gradients
