"""Lipschitz constants of residual layers x -> a x + s Wᵀ act(W x + b), whose activation is elementwise."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lipschitz.estimation.upper_bound.traced_call import Slopes, Step, TracedValue, product

PROBES = 4
"""Random pairs of vectors on which a linear map is compared with the adjoint of another one."""
ROUNDING = 1e-10
"""Relative difference that rounding in float64 may make between the two."""


def residual_layer_constant(terms: Sequence[tuple[float, TracedValue]]) -> float:
    """Return the Lipschitz constant of a residual layer as a function of the network's input.

    Each difference of its outputs is (a I + s Wᵀ D W) times the difference of its inputs, where D is diagonal and holds
    slopes of the activation. That matrix is symmetric. With slopes in [l, h] the eigenvalues of Wᵀ D W lie between
    min(l, 0) ‖W‖² and max(h, 0) ‖W‖², so the constant is the larger |a + s λ| of these two λ. With a = 1, s = -2 and
    slopes in [0, 1] it is max(1, |1 - 2 ‖W‖²|); see Meunier et al. 2022, arXiv:2110.12690, Sec. 3.

    W stands for all linear maps before the activation. Those after it are compared with a multiple of the adjoint of W
    on random vectors.

    Args:
        terms: factor and value of both terms of a sum.

    Returns:
        The constant; infinity where the sum is not recognised as a residual layer.
    """
    first, second = terms
    return min(_constant(*first, *second), _constant(*second, *first))


def _constant(a: float, skip: TracedValue, s: float, branch: TracedValue) -> float:
    outer, hidden = _linear_steps(branch, lambda value: _activation(value) is not None)
    slopes = _activation(hidden)
    if slopes is None:
        return math.inf
    assert hidden.step is not None
    multiples = _multiples(skip)
    inner, base = _linear_steps(hidden.step.source, lambda value: id(value.value) in multiples)
    if not inner or id(base.value) not in multiples:
        return math.inf
    multiple = _multiple_of_adjoint(inner, outer, base.value, hidden.value)
    if multiple is None:
        return math.inf
    factor, constant = multiples[id(base.value)]
    squared = math.prod(step.norm for step in inner) ** 2
    ends = (min(slopes.low, 0.0) * squared, max(slopes.high, 0.0) * squared)
    return product(max(abs(a * factor + s * multiple * end) for end in ends), min(constant, base.constant))


def _linear_steps(value: TracedValue, is_end: Callable[[TracedValue], bool]) -> tuple[list[Step], TracedValue]:
    """Follow ``value`` back through affine steps; return them in order, and the value where they begin."""
    steps: list[Step] = []
    while not is_end(value) and value.step is not None and value.step.linear is not None:
        steps.insert(0, value.step)
        value = value.step.source
    return steps, value


def _activation(value: TracedValue) -> Slopes | None:
    step = value.step
    return step.slopes if step is not None and step.linear is None and isinstance(step.source.value, Tensor) else None


def _multiples(value: TracedValue) -> dict[int, tuple[float, float]]:
    """Return the values of which ``value`` is a multiple, by id: the factor, and their own Lipschitz constant."""
    factor, found = 1.0, {id(value.value): (1.0, value.constant)}
    while (step := value.step) is not None and step.slopes is not None and step.slopes.low == step.slopes.high:
        factor, value = factor * step.slopes.low, step.source
        found[id(value.value)] = factor, value.constant
    return found


def _multiple_of_adjoint(inner: Sequence[Step], outer: Sequence[Step], x: Tensor, hidden: Tensor) -> float | None:
    """Return m where the linear part of ``outer`` is m times the adjoint of that of ``inner``; None if it is not."""
    generator = torch.Generator().manual_seed(0)
    pairs = []
    for _ in range(PROBES):
        u, v = (torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like) for like in (x, hidden))
        w_u, back = _linear_part(inner, u), _linear_part(outer, v)
        if w_u.shape != v.shape or back.shape != u.shape:
            return None
        pairs.append((float((w_u * v).sum()), float((u * back).sum())))
    square = math.fsum(given * given for given, _ in pairs)
    if square == 0:
        return None
    multiple = math.fsum(given * found for given, found in pairs) / square
    rest = math.fsum((found - multiple * given) ** 2 for given, found in pairs)
    return multiple if rest <= ROUNDING**2 * multiple**2 * square else None


def _linear_part(steps: Sequence[Step], x: Tensor) -> Tensor:
    """Apply the linear parts of affine steps one after another."""
    for step in steps:
        assert step.linear is not None
        x = step.linear.apply(x) - step.linear.apply(torch.zeros_like(x))
    return x
