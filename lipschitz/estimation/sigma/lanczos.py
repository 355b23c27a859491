"""The largest singular value of a linear operator by Lanczos bidiagonalisation, from products with A and Aᵀ alone."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from lipschitz.estimation.sigma.batched_host_copies import Algorithm, advance_together

LinearMap = Callable[[Tensor], Tensor]

MAX_STEPS = 200
"""Most steps, unless others are given."""
MIN_STEPS = 24
"""Fewest steps before it may stop: by chance a start may be nearly a singular vector, but not of the largest value."""
ROUNDING_UNITS = 100
"""A new basis vector counts as zero below this many units of rounding, relative to the largest Ritz value."""
WEIGHT_POWER = 64
"""Each Ritz vector enters the start of the next run with the weight (θ / θ₁)^64, θ₁ the largest Ritz value θ."""


class LeadingSingularValue(NamedTuple):
    """Result of a run of Lanczos bidiagonalisation."""

    sigma: float
    """The largest Ritz value: at most the true σ, up to rounding."""
    next_start: Tensor
    """A good start for a run on a slightly different operator: norm one, in the shape of the start."""
    converged: bool
    """Whether the tolerance was met within ``max_steps``."""


def leading_singular_value(
    forward: LinearMap, adjoint: LinearMap, start: Tensor, *, tolerance: float = 1e-3, max_steps: int = MAX_STEPS
) -> LeadingSingularValue:
    """Approximate σ = max ‖A x‖ / ‖x‖ from below by Golub-Kahan-Lanczos bidiagonalisation.

    The bidiagonal recurrence of Golub & Kahan 1965 (SIAM J. Numer. Anal. B 2(2), Sec. 2), with full reorthogonalisation
    of the right vectors. Each Ritz triple (u, θ, v) has A v = θ u and Aᵀ u = θ v + e. So ‖AᵀA v - θ² v‖ = θ ‖e‖, and A
    has a singular value whose square lies within θ ‖e‖ of θ². The iteration stops when two conditions hold: the
    interval of the largest value θ₁ does not reach below (1 - ``tolerance``)² θ₁², and no interval reaches above
    (1 + ``tolerance``)² θ₁². It also stops when the Krylov space is exhausted.

    The second condition and `MIN_STEPS` make a warm start safe: if the start is a singular vector of any value, its own
    residual is zero at once. No residual can rule out a leading singular vector that is orthogonal to the start. So mix
    a random vector into a start that is not random. The relative error is then below ``tolerance``, unless the start
    has almost no component along the leading singular vectors.

    The start for the next run is a weighted sum of the Ritz vectors, see `WEIGHT_POWER`, not the leading one alone:
    a change of the operator may make another of them the leading one.

    Args:
        forward: x -> A x; any shapes, floating dtype.
        adjoint: y -> Aᵀ y.
        start: first vector of the Krylov space, in the shape, dtype and device of A's input; not zero.
        tolerance: relative, of residuals.
        max_steps: largest number of applications of A.
    """
    (found,) = advance_together([lanczos(forward, adjoint, start, tolerance=tolerance, max_steps=max_steps)])
    return found


def lanczos(
    forward: LinearMap, adjoint: LinearMap, start: Tensor, *, tolerance: float = 1e-3, max_steps: int = MAX_STEPS
) -> Algorithm[LeadingSingularValue]:
    """Return the algorithm of `leading_singular_value`, so that several can be run by `advance_together`.

    It asks for host values once a step, and a second time in a step where reorthogonalisation cancels much.
    """
    rounding = ROUNDING_UNITS * torch.finfo(start.dtype).eps
    # Most runs end before they need more rows.
    basis = torch.empty(min(32, max_steps), start.numel(), dtype=start.dtype, device=start.device)
    basis[0] = start.flatten() / torch.linalg.vector_norm(start)
    diagonal: list[float] = []
    upper: list[float] = []
    left = forward(basis[0].view_as(start))
    for steps in range(1, max_steps + 1):
        norm = torch.linalg.vector_norm(left)
        left = left / norm
        vector = adjoint(left).flatten() - norm * basis[steps - 1]
        residual, alpha, beta = yield from _reorthogonalized(vector, basis[:steps], norm)
        diagonal.append(alpha)
        last = steps in (max_steps, start.numel())
        # The sum is at least the largest Ritz value, so few steps before `MIN_STEPS` need the SVD that gives the value.
        if last or steps >= MIN_STEPS or min(alpha, beta) <= rounding * (max(diagonal) + max(upper, default=0.0)):
            p, theta, qh = torch.linalg.svd(_bidiagonal(diagonal, upper))
            noise = rounding * float(theta[0])
            beta = beta if alpha > noise else 0.0
            exhausted = beta <= noise or steps == start.numel()
            converged = exhausted or (steps >= MIN_STEPS and _meets_tolerance(theta, p[-1], beta, tolerance))
            if converged or steps == max_steps:
                break
        if steps == len(basis):
            basis = torch.cat([basis, torch.empty_like(basis)])
        basis[steps] = residual / beta
        upper.append(beta)
        left = forward(basis[steps].view_as(start)) - beta * left
    weights = (theta / theta[0]) ** WEIGHT_POWER if theta[0] > 0 else torch.ones_like(theta)
    next_start = (weights / torch.linalg.vector_norm(weights) @ qh).to(basis) @ basis[:steps]
    return LeadingSingularValue(float(theta[0]), next_start.view_as(start), converged)


def _reorthogonalized(vector: Tensor, basis: Tensor, norm: Tensor) -> Algorithm[tuple[Tensor, float, float]]:
    """Subtract from ``vector`` ``(n,)`` its projection on the span of the orthonormal ``basis`` ``(k, n)``.

    Done once, and a second time where much cancels; two times are always enough (Kahan, in Parlett 1980, Sec. 6.9).
    Returns the residual, the host value of ``norm`` and the norm of the residual.
    """
    residual = torch.addmv(vector, basis.T, basis @ vector, alpha=-1)
    value, before, after = yield norm, torch.linalg.vector_norm(vector), torch.linalg.vector_norm(residual)
    if after <= 0.7 * before:
        residual = torch.addmv(residual, basis.T, basis @ residual, alpha=-1)
        (after,) = yield (torch.linalg.vector_norm(residual),)
    return residual, value, after


def _meets_tolerance(theta: Tensor, last: Tensor, beta: float, tolerance: float) -> bool:
    """Say whether the intervals of the Ritz values meet the ``tolerance``, as in `leading_singular_value`.

    ``theta``: ``(k,)``, descending; ``last``: ``(k,)``, the last entry of each left singular vector.
    """
    squares = theta.square()
    errors = theta * beta * last.abs()
    known = squares[0] - errors[0] >= (1 - tolerance) ** 2 * squares[0]
    leads = (squares + errors).max() <= (1 + tolerance) ** 2 * squares[0]
    return bool(known & leads)


def _bidiagonal(diagonal: list[float], upper: list[float]) -> Tensor:
    matrix = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
    if upper:
        matrix = matrix + torch.diag(torch.tensor(upper, dtype=torch.float64), 1)
    return matrix
