"""Power iteration for the spectral norms of many layers at once, with singular vectors kept between updates."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from lipschitz.estimation.sigma.lanczos import LinearMap
from lipschitz.observe import is_capturing

EPSILON = 1e-12
"""Smallest divisor when vectors are normalised, as in `torch.nn.functional.normalize`."""
RANDOM_SHARE = 1e-13
"""Size of the random numbers that are added to a normalised v, in units of rounding.

Power iteration never leaves a subspace that AᵀA maps to itself, such as an axis if A is diagonal: a component that is
exactly zero stays zero, even if the largest singular value is there. The numbers are so small that they fill exact
zeros only; every other component loses them by rounding. They grow by the ratio of the singular values squared at each
step, so leaving such an axis takes some 250 steps where the ratio is 1.1. Until then σ is that of the axis.
"""


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
    forward pass correct, also in eval mode, and draws from no generator. Of a zero matrix any vectors are singular
    vectors: then both are dense, so that they suit whatever the matrix becomes.
    """
    u, sigmas, vh = torch.linalg.svd(matrix, full_matrices=False)
    left, right = (torch.where(sigmas[0] == 0, dense_unit(side), side) for side in (u[:, 0], vh[0]))
    return left, right


def dense_unit(like: Tensor) -> Tensor:
    """Return a vector of norm one, in the shape, dtype and device of ``like``, with components in all directions.

    The same in every process, up to rounding in every dtype; torch's global generator is not used.
    """
    numbers = _random_numbers(like.shape).to(like)
    unit: Tensor = numbers / torch.linalg.vector_norm(numbers)
    return unit


@torch.no_grad()
def advance(operators: Sequence[Operator], us: Sequence[Tensor], vs: Sequence[Tensor], iterations: int) -> list[Tensor]:
    """Run power iteration on each operator, in place: v <- Aᵀu / ‖Aᵀu‖, then u <- Av / ‖Av‖.

    This is the order of Algorithm 1 of arXiv:1802.05957. On a GPU kernels as small as these cost as much as their
    launches, so norms and divisions of all operators are computed together, see `_normalise`. A vector is kept where
    its image is zero, so that the vectors of a zero operator stay usable. Exact zeros of v are filled, see
    `RANDOM_SHARE`.

    Args:
        operators: the linear maps.
        us: their left singular vectors, overwritten.
        vs: their right singular vectors, overwritten.
        iterations: steps.

    Returns:
        σ of each operator, scalars: ‖Av‖ = uᵀAv of the last step, which is at most the true σ; never below `EPSILON`.
    """
    sigmas: list[Tensor] = []
    for _ in range(iterations):
        _normalise(vs, [operator.adjoint(u) for operator, u in zip(operators, us, strict=True)])
        torch._foreach_add_(list(vs), [_tiny_numbers(v.shape, v.dtype, v.device) for v in vs])
        sigmas = _normalise(us, [operator.forward(v) for operator, v in zip(operators, vs, strict=True)])
    return sigmas


def infinite_where_zero(norms: Tensor) -> Tensor:
    """Return norms as divisors, with infinity for each zero, so that a quotient and its gradient are zero there.

    W / ‖W‖ has no limit at W = 0. Zero is what a division by max(‖W‖, ε) gives. A gradient of zero keeps the weight
    there, where one of size 1/ε would throw it far away. All other values keep their bits. None may be negative.
    """
    return functional.threshold(norms, 0, torch.inf)


def _normalise(out: Sequence[Tensor], images: list[Tensor]) -> list[Tensor]:
    """Write each image that is not zero, divided by its norm, to ``out``; return the norms, at least `EPSILON`.

    The number of launches does not depend on the number of images. A list of scalars would be one launch for each of
    them, so the norms are repeated to the images' sizes.
    """
    out, norms = list(out), list(torch._foreach_norm(images))
    # The host may look at a value where that costs nothing, and no graph is recorded.
    if norms[0].is_cpu and not is_capturing() and all(norms):
        torch._foreach_clamp_min_(norms, EPSILON)
        torch._foreach_div_(images, norms)
        torch._foreach_copy_(out, images)
        return norms
    divisors = torch.cat([norm.expand(image.numel()) for norm, image in zip(norms, images, strict=True)])
    # 1, or 0 where the norm is zero: x + 1 (y - x) and x + 0 (y - x) are computed as exactly y and x.
    shares = divisors.sign()
    divisors.clamp_min_(EPSILON)
    torch._foreach_div_(images, _parts(divisors, images))
    torch._foreach_lerp_(out, images, _parts(shares, images))
    return [part.flatten()[0] for part in _parts(divisors, images)]


def _parts(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """Return consecutive parts of ``flat`` as views in the shapes of ``like``."""
    parts = flat.split_with_sizes([one.numel() for one in like])
    return [part.view(one.shape) for part, one in zip(parts, like, strict=True)]


@cache
def _tiny_numbers(shape: torch.Size, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the numbers that fill zeros, the same at every call; they must not be changed."""
    return (RANDOM_SHARE * torch.finfo(dtype).eps * _random_numbers(shape)).to(device, dtype)


def _random_numbers(shape: torch.Size) -> Tensor:
    """Return standard normal numbers in float64 on the CPU, the same at every call."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64, device="cpu")
