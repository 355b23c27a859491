"""Power iteration for the spectral norms of many layers at once, with singular vectors kept between updates."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lipschitz.estimation.sigma.lanczos import LinearMap

EPSILON = 1e-12
"""Smallest divisor when vectors are normalised, as in `torch.nn.functional.normalize`."""


class Operator(NamedTuple):
    """A linear map A, given by the functions x -> A x and y -> Aᵀ y on tensors of any shape."""

    forward: LinearMap
    adjoint: LinearMap


def matrix_operator(matrix: Tensor) -> Operator:
    """Return ``matrix`` ``(m, n)`` as an operator from vectors ``(n,)`` to vectors ``(m,)``."""
    return Operator(matrix.mv, matrix.T.mv)


@torch.no_grad()
def leading_vectors(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return the leading left and right singular vectors ``(m,)`` and ``(n,)`` of ``matrix`` ``(m, n)``, by SVD.

    Algorithm 1 of arXiv:1802.05957 starts from a random u. Starting from the exact singular vectors makes the first
    forward pass correct, also in eval mode, and needs no random numbers.
    """
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    return u[:, 0].clone(), vh[0].clone()


@torch.no_grad()
def advance(operators: Sequence[Operator], us: Sequence[Tensor], vs: Sequence[Tensor], iterations: int) -> list[Tensor]:
    """Run power iteration on each operator, in place: v <- Aᵀu / ‖Aᵀu‖, then u <- Av / ‖Av‖.

    This is the order of Algorithm 1 of arXiv:1802.05957. Norms and divisions of all operators are computed by one call
    each, because on a GPU without graphs such small kernels cost as much as their launches.

    Args:
        operators: the linear maps.
        us: their left singular vectors, overwritten.
        vs: their right singular vectors, overwritten.
        iterations: steps.

    Returns:
        σ of each operator, scalars: ‖Av‖ = uᵀAv of the last step, which is at most the true σ.
    """
    sigmas: list[Tensor] = []
    for _ in range(iterations):
        _normalise(vs, [operator.adjoint(u) for operator, u in zip(operators, us, strict=True)])
        sigmas = _normalise(us, [operator.forward(v) for operator, v in zip(operators, vs, strict=True)])
    return sigmas


def _normalise(out: Sequence[Tensor], tensors: list[Tensor]) -> list[Tensor]:
    """Write each tensor, divided by its norm, to ``out``; return the norms."""
    norms = list(torch._foreach_norm(tensors))
    torch._foreach_clamp_min_(norms, EPSILON)
    torch._foreach_div_(tensors, norms)
    torch._foreach_copy_(list(out), tensors)
    return norms
