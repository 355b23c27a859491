"""The largest singular value of a linear operator that is known only by its action."""

from collections.abc import Callable

import torch
from torch import Tensor

LinearMap = Callable[[Tensor], Tensor]


def largest_singular_value(
    forward: LinearMap,
    adjoint: LinearMap,
    start: Tensor,
    *,
    tolerance: float = 1e-4,
    max_steps: int = 100,
) -> float:
    """Estimate ``max |A x| / |x|`` from below by Golub-Kahan-Lanczos bidiagonalisation.

    The bidiagonal recurrence of Golub & Kahan 1965 (SIAM J. Numer. Anal. B 2(2), Sec. 2) with full reorthogonalisation
    of the right vectors. It stops when the residual of the leading Ritz triple is below ``tolerance`` times its value,
    which puts a singular value of A within that relative distance, or when the Krylov space is exhausted.

    Args:
        forward: x -> A x; any shapes, floating dtype.
        adjoint: y -> Aᵀ y.
        start: where the Krylov space starts, in the shape, dtype and device of A's input; not zero.
        tolerance: relative residual at which to stop.
        max_steps: largest number of applications of A.

    Returns:
        The estimate, never above the true value but for rounding; 0 for the zero operator.
    """
    right = [(start / torch.linalg.vector_norm(start)).flatten()]
    diagonal: list[Tensor] = []
    upper: list[Tensor] = []
    left = forward(right[0].view_as(start))
    while True:
        alpha = torch.linalg.vector_norm(left)
        diagonal.append(alpha)
        p, s, _ = torch.linalg.svd(_bidiagonal(diagonal, upper))
        sigma = s[0]
        if alpha == 0:
            break
        left = left / alpha
        basis = torch.stack(right)
        residual = adjoint(left).flatten() - alpha * right[-1]
        # Twice is enough (Kahan, in Parlett 1980, Sec. 6.9): one pass leaves what cancellation hid.
        for _ in range(2):
            residual = residual - basis.T @ (basis @ residual)
        beta = torch.linalg.vector_norm(residual)
        exhausted = len(right) == min(max_steps, start.numel())
        if exhausted or beta * p[-1, 0].abs() <= tolerance * sigma:
            break
        right.append(residual / beta)
        upper.append(beta)
        left = forward(right[-1].view_as(start)) - beta * left
    return float(sigma)


def _bidiagonal(diagonal: list[Tensor], upper: list[Tensor]) -> Tensor:
    matrix = torch.diag(torch.stack(diagonal))
    if upper:
        matrix = matrix + torch.diag(torch.stack(upper), 1)
    return matrix
