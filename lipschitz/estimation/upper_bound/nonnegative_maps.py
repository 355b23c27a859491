"""Bound the norm of linear maps whose entries are all >= 0, from their row sums and column sums."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lipschitz.estimation.upper_bound.traced_call import tensors_in


def nonnegative_norm(affine: Callable[[Tensor], Any], like: Tensor) -> float:
    """Bound the spectral norm of A, the linear part of ``affine`` on inputs shaped like ``like``; all entries >= 0.

    ‖A‖₂² <= ‖A‖₁ ‖A‖_∞ (Schur), the largest column sum times the largest row sum. Row sums are A applied to ones,
    column sums Aᵀ applied to ones. The bound is exact where all rows have the same sum and all columns too: for
    averages over disjoint windows, for sums, and for maps that only move values or repeat each value equally often.
    Infinite where an entry is found to be below zero, or where autograd does not see that outputs depend on the input.
    """
    with torch.enable_grad():
        ones = torch.ones_like(like, requires_grad=True)
        outputs = list(tensors_in(affine(ones.clone())))
        if not all(output.requires_grad for output in outputs if output.numel()):
            return math.inf
        columns = torch.zeros_like(like)
        if dependent := [output.sum() for output in outputs if output.numel()]:
            (columns,) = torch.autograd.grad(dependent, ones)
    with torch.no_grad():
        shifts = list(tensors_in(affine(torch.zeros_like(like))))
    rows = [(a.detach() - b).flatten() for a, b in zip(outputs, shifts, strict=True) if a.numel()]
    sums = [columns.flatten(), torch.cat(rows) if rows else columns.new_zeros(1)]
    if any(float(values.min()) < 0 for values in sums):
        return math.inf
    return math.sqrt(math.prod(float(values.max()) for values in sums))
