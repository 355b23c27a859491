"""Lipschitz constants of functions along axes: softmax, sorting, selection, norms, differences."""

import math
from collections.abc import Callable
from typing import Any

import torch

from lipschitz.estimation.upper_bound.traced_call import UNKNOWN, Call, LipschitzConstant, tensors_in


def _one(call: Call, *_: Any, **__: Any) -> LipschitzConstant:
    return LipschitzConstant(call.times_input_constant(1.0))


def selection_constant(call: Call, *arguments: Any, **_: Any) -> LipschitzConstant:
    """Order statistics, each value at most once: one. A second result holds integers.

    Sorting does not increase the distance of two vectors (the rearrangement inequality), so neither does the selection
    of places of the sorted vector.
    """
    return UNKNOWN if list(tensors_in(arguments)) else LipschitzConstant(call.times_input_constant(1.0))


def softmax_constant(call: Call, *_: Any, **__: Any) -> LipschitzConstant:
    """1/2.

    The Jacobian J is symmetric and positive semidefinite. For a unit vector v, vᵀ J v is the variance of v under the
    probabilities, which is at most (max v - min v)² / 4 <= 1/2 (Popoviciu).
    """
    return LipschitzConstant(call.times_input_constant(1 / 2))


def log_softmax_constant(call: Call, dim: int, *_: Any, **__: Any) -> LipschitzConstant:
    """√n along an axis of n values.

    The Jacobian I - 1 pᵀ is a projection other than zero and the identity (n > 1), since pᵀ 1 = 1. Such a projection
    has the norm of its complement 1 pᵀ, which is √n ‖p‖ <= √n.
    """
    return LipschitzConstant(call.times_input_constant(math.sqrt(call.input.shape[dim])))


def norm_constant(call: Call, order: Any = 2, *_: Any, **__: Any) -> LipschitzConstant:
    """The p-norm along axes: one for p >= 2, and n^(1/p - 1/2) over n values for 1 <= p < 2."""
    order = 2.0 if order is None else float(order)
    if order >= 2:
        return LipschitzConstant(call.times_input_constant(1.0))
    if order < 1:
        return LipschitzConstant(math.inf, "is no norm")
    return LipschitzConstant(call.times_input_constant(_reduced(call) ** (1 / order - 1 / 2)))


def deviation_constant(
    call: Call, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> LipschitzConstant:
    """Standard deviation over n values, ‖x - mean‖ / √(n - correction): one over that root.

    The mean, which std_mean also returns, depends on another orthogonal part of x, with 1 / √n.
    """
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    free = _reduced(call) - (float(unbiased) if correction is None else correction)
    if free <= 0:
        return LipschitzConstant(math.inf, "divides by zero")
    return LipschitzConstant(call.times_input_constant(1 / math.sqrt(min(free, _reduced(call)))))


def cumulative_extremum_constant(call: Call, dim: int) -> LipschitzConstant:
    """The extremum of each prefix: one value may be that of every prefix, so √n along an axis of n values."""
    return LipschitzConstant(call.times_input_constant(math.sqrt(call.input.shape[dim])))


def difference_constant(call: Call, n: int = 1, *_: Any, **__: Any) -> LipschitzConstant:
    """Differences of neighbours: two, n times."""
    return call.affine(2.0**n)


REDUCTIONS: dict[str, Callable[..., LipschitzConstant]] = {
    **dict.fromkeys(("amax", "amin", "max", "min", "sort", "msort", "topk", "kthvalue", "median"), selection_constant),
    **dict.fromkeys(("softmax", "_softmax"), softmax_constant),
    **dict.fromkeys(("log_softmax", "_log_softmax"), log_softmax_constant),
    **dict.fromkeys(("norm", "linalg_vector_norm", "frobenius_norm"), norm_constant),
    **dict.fromkeys(("cummax", "cummin"), cumulative_extremum_constant),
    # Its gradient is softmax, whose norm is at most one.
    "logsumexp": _one,
    **dict.fromkeys(("std", "std_mean"), deviation_constant),
    "diff": difference_constant,
}
"""By ATen's name: returns the constant, given the call and the arguments after the input."""


def _reduced(call: Call) -> float:
    """Return how many values of the input each value of the output is made of."""
    output = next(tensors_in(call.output), torch.empty(1))
    return call.input.numel() / max(output.numel(), 1)
