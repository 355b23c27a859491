"""Power iteration on many layers at once, its vectors kept in buffers from one update to the next."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lipschitz.estimation.sigma.lanczos import LinearMap

EPSILON = 1e-12
"""Smallest norm that is divided by, as in `torch.nn.functional.normalize`."""


class Operator(NamedTuple):
    """A linear map by its action: x -> A x and y -> Aᵀ y, on tensors of any shape."""

    forward: LinearMap
    adjoint: LinearMap


def matrix_operator(matrix: Tensor) -> Operator:
    """Return the operator of ``matrix`` ``(m, n)``, from vectors ``(n,)`` to vectors ``(m,)``."""
    return Operator(matrix.mv, matrix.T.mv)


@torch.no_grad()
def leading_vectors(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return the leading left and right singular vectors ``(m,)`` and ``(n,)`` of ``matrix`` ``(m, n)``, by SVD.

    Algorithm 1 of arXiv:1802.05957 starts from a random u. Starting from its limit makes the first forward pass right
    in whatever mode it happens, and draws no random numbers.
    """
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    return u[:, 0].clone(), vh[0].clone()


@torch.no_grad()
def advance(operators: Sequence[Operator], us: Sequence[Tensor], vs: Sequence[Tensor], iterations: int) -> list[Tensor]:
    """Take steps of power iteration on each operator, its u and v in place: v <- Aᵀu/‖Aᵀu‖, then u <- Av/‖Av‖.

    This is the order of Algorithm 1 of arXiv:1802.05957. Norms and divisions of all operators are single calls, since
    on a GPU run eagerly these small kernels cost what their launches do.

    Returns:
        σ of each operator, scalars: ‖Av‖ of the last half step, which is uᵀAv and never above the true σ.
    """
    sigmas: list[Tensor] = []
    for _ in range(iterations):
        _normalise(vs, [operator.adjoint(u) for operator, u in zip(operators, us, strict=True)])
        sigmas = _normalise(us, [operator.forward(v) for operator, v in zip(operators, vs, strict=True)])
    return sigmas


def _normalise(out: Sequence[Tensor], tensors: list[Tensor]) -> list[Tensor]:
    """Write each tensor divided by its norm to ``out``; return the norms."""
    norms = list(torch._foreach_norm(tensors))
    torch._foreach_clamp_min_(norms, EPSILON)
    torch._foreach_div_(tensors, norms)
    torch._foreach_copy_(list(out), tensors)
    return norms
