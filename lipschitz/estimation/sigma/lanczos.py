"""The largest singular value of a linear operator that is known only by its action."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from lipschitz.estimation.sigma.batched_host_copies import Process, together

LinearMap = Callable[[Tensor], Tensor]

FEWEST = 24
"""Steps before which it does not stop: a start may by chance be nearly a singular vector, but not of the largest σ."""
ROUNDING = 100
"""Units of rounding, relative to the largest Ritz value, at which the next vector of a basis is taken for zero."""
FILTER = 64
"""Power of a Ritz value, relative to the largest, by which its vector is weighted in what is kept for the next run."""


class Leading(NamedTuple):
    """What a run of the Lanczos process found."""

    sigma: float
    """The largest Ritz value: never above the true σ but for rounding."""
    kept: Tensor
    """Where a run on a slightly different operator best starts: of norm one, in the shape of the start."""
    converged: bool
    """Whether it stopped for its tolerance, not for ``max_steps``."""


def leading(
    forward: LinearMap, adjoint: LinearMap, start: Tensor, *, tolerance: float = 1e-3, max_steps: int = 200
) -> Leading:
    """Approximate ``max |A x| / |x|`` from below by Golub-Kahan-Lanczos bidiagonalisation.

    The bidiagonal recurrence of Golub & Kahan 1965 (SIAM J. Numer. Anal. B 2(2), Sec. 2) with full reorthogonalisation
    of the right vectors. Each Ritz triple has A v = θ u and Aᵀ u = θ v + e; so ‖AᵀA v - θ² v‖ = θ ‖e‖, and A has a
    singular value whose square lies within θ ‖e‖ of θ². The process stops when the interval of the largest θ reaches no
    further down than (1 - ``tolerance``) θ, and that of none reaches further up than (1 + ``tolerance``) times the
    largest; or when the Krylov space is exhausted.

    The second condition and `FEWEST` are what makes a warm start safe: where the start is a singular vector, of
    whatever singular value, its own residual is zero at once. What no residual can exclude is a leading singular vector
    to which the start is orthogonal: mix a random vector into a start that is not one. So the relative error is below
    ``tolerance`` unless the leading singular vectors are all but absent from the start.

    What is kept for the next start is not the leading Ritz vector but a sum of those near it, each weighted by
    (θ / θ₁)^`FILTER`: which of them leads may change with the operator.

    Args:
        forward: x -> A x; any shapes, floating dtype.
        adjoint: y -> Aᵀ y.
        start: where the Krylov space starts, in the shape, dtype and device of A's input; not zero.
        tolerance: relative, of residuals.
        max_steps: largest number of applications of A.
    """
    (found,) = together([lanczos(forward, adjoint, start, tolerance=tolerance, max_steps=max_steps)])
    return found


def lanczos(
    forward: LinearMap, adjoint: LinearMap, start: Tensor, *, tolerance: float = 1e-3, max_steps: int = 200
) -> Process[Leading]:
    """Return the process of `leading`, so that several may run `together`: one question a step, two if much cancels."""
    rounding = ROUNDING * torch.finfo(start.dtype).eps
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
        residual, alpha, beta = yield from _orthogonal(vector, basis[:steps], norm)
        diagonal.append(alpha)
        last = steps in (max_steps, start.numel())
        # The sum is no less than the largest Ritz value, so that before `FEWEST` few steps need the value itself.
        if last or steps >= FEWEST or min(alpha, beta) <= rounding * (max(diagonal) + max(upper, default=0.0)):
            p, theta, qh = torch.linalg.svd(_bidiagonal(diagonal, upper))
            noise = rounding * float(theta[0])
            beta = beta if alpha > noise else 0.0
            exhausted = beta <= noise or steps == start.numel()
            converged = exhausted or (steps >= FEWEST and _settled(theta, p[-1], beta, tolerance))
            if converged or steps == max_steps:
                break
        if steps == len(basis):
            basis = torch.cat([basis, torch.empty_like(basis)])
        basis[steps] = residual / beta
        upper.append(beta)
        left = forward(basis[steps].view_as(start)) - beta * left
    weights = (theta / theta[0]) ** FILTER if theta[0] > 0 else torch.ones_like(theta)
    kept = (weights / torch.linalg.vector_norm(weights) @ qh).to(basis) @ basis[:steps]
    return Leading(float(theta[0]), kept.view_as(start), converged)


def largest_singular_value(
    forward: LinearMap, adjoint: LinearMap, start: Tensor, *, tolerance: float = 1e-3, max_steps: int = 200
) -> float:
    """Return the σ of `leading`, alone."""
    return leading(forward, adjoint, start, tolerance=tolerance, max_steps=max_steps).sigma


def _orthogonal(vector: Tensor, basis: Tensor, norm: Tensor) -> Process[tuple[Tensor, float, float]]:
    """Take from ``vector`` ``(n,)`` what lies in the span of the orthonormal ``basis`` ``(k, n)``.

    Once is enough unless much cancels, and then twice (Kahan, in Parlett 1980, Sec. 6.9). Returned with the value of
    ``norm``, which comes over on the way, and with its own norm.
    """
    residual = torch.addmv(vector, basis.T, basis @ vector, alpha=-1)
    value, before, after = yield norm, torch.linalg.vector_norm(vector), torch.linalg.vector_norm(residual)
    if after <= 0.7 * before:
        residual = torch.addmv(residual, basis.T, basis @ residual, alpha=-1)
        (after,) = yield (torch.linalg.vector_norm(residual),)
    return residual, value, after


def _settled(theta: Tensor, last: Tensor, beta: float, tolerance: float) -> bool:
    """Say whether the intervals of the Ritz values meet the ``tolerance``, as in `leading`.

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
