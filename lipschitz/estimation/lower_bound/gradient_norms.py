"""Input-gradient norms and Jacobian norms of a network: lower bounds of its Lipschitz constant."""

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


def gradient_norms(net: Network, points: Tensor) -> Tensor:
    """Return ‖∇ₓ net(x)‖₂ for each sample of ``points`` ``(n, ...)`` as ``(n,)``, the norm over all axes but the first.

    Every value is a lower bound of the Lipschitz constant of a scalar ``net`` (n, ...) -> (n, 1) that does not mix
    samples. Gradients of the parameters and the graph of ``points`` are left as they are.
    """
    with torch.enable_grad():
        points = points.detach().requires_grad_()
        (gradients,) = torch.autograd.grad(_on_copy(net, points).sum(), points)
    return sample_norms(gradients)


def jacobian_norms(net: Network, points: Tensor, rng: torch.Generator) -> JacobianNorms:
    """Return the spectral norm of the Jacobian of ``net`` at each of ``points`` ``(n, ...)``, from below.

    With one output per sample this is the norm of the gradient. With several, power iteration on JᵀJ from a random
    start: ‖Jᵀ u‖ <= ‖J‖ for every unit vector u, so any number of steps gives a lower bound. J v is computed by reverse
    mode twice, as the derivative of the linear map u -> Jᵀ u.

    Args:
        net: ``(n, ...)`` -> ``(n, ...)``, each sample independent of the others.
        points: floating dtype.
        rng: for the random start; on the CPU.
    """
    with torch.enable_grad():
        points = points.detach().requires_grad_()
        outputs = _on_copy(net, points).flatten(1)
        u = torch.randn(outputs.shape, generator=rng, dtype=points.dtype).to(points.device)
        if outputs.shape[1] == 1:
            gradients = _vector_jacobian_product(outputs, points, torch.ones_like(u))
        else:
            dual = torch.zeros_like(outputs, requires_grad=True)
            linear = _vector_jacobian_product(outputs, points, dual, differentiable=True)
            for _ in range(POWER_ITERATIONS):
                u = u / one_where_zero(sample_norms(u))[:, None]
                gradients = _vector_jacobian_product(outputs, points, u)
                u = _vector_jacobian_product(linear, dual, gradients)
            gradients = _vector_jacobian_product(outputs, points, u / one_where_zero(sample_norms(u))[:, None])
    gradients = gradients.nan_to_num(nan=0.0)
    norms = sample_norms(gradients)
    return JacobianNorms(norms, gradients / one_where_zero(norms).view(-1, *[1] * (points.dim() - 1)))


def sample_norms(values: Tensor) -> Tensor:
    """Return the Euclidean norm of each sample of ``values`` ``(n, ...)`` as ``(n,)``."""
    norms: Tensor = torch.linalg.vector_norm(values.flatten(1), dim=1)
    return norms


def one_where_zero(values: Tensor) -> Tensor:
    """Return ``values`` >= 0 with each zero replaced by one, for use as a divisor."""
    return torch.where(values > 0, values, torch.ones_like(values))


def _on_copy(net: Network, points: Tensor) -> Tensor:
    """Apply ``net`` to a copy of ``points``: a network may change its input in place."""
    return net(points.clone())


def _vector_jacobian_product(
    outputs: Tensor, inputs: Tensor, vector: Tensor, *, differentiable: bool = False
) -> Tensor:
    (gradients,) = torch.autograd.grad(
        outputs,
        inputs,
        vector,
        retain_graph=True,
        create_graph=differentiable,
        allow_unused=True,
        materialize_grads=True,
    )
    return gradients
