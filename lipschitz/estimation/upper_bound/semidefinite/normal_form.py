"""Simplify a chain: merge activations, and fold scales of channels into the linear maps next to them."""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from lipschitz.estimation.upper_bound.polyphase import ConvolutionAxis
from lipschitz.estimation.upper_bound.semidefinite.steps import (
    ChannelScale,
    Convolution,
    Matrix,
    NormalStep,
    Slopes,
    SpatialSum,
    Step,
    shapes,
)


def normal_form(steps: Sequence[Step], shape: tuple[int, ...]) -> tuple[float, list[NormalStep]]:
    """Return (factor, chain): the factor times a bound of the chain bounds ``steps`` on inputs of ``shape``.

    The chain starts and ends with a linear step and has no two activations in a row. The factor holds the constants of
    activations at either end, those of activations with a single slope, which only multiply, and the largest absolute
    value of each weight, so that no product overflows.
    """
    factor, found = 1.0, list[NormalStep]()
    waiting: Tensor | None = None
    for step, (_, *sizes) in zip(steps, shapes(steps, shape)[:-1], strict=True):
        if isinstance(step, ChannelScale):
            if found and isinstance(found[-1], Convolution | Matrix):
                found[-1] = _rows_scaled(found[-1], step.factors)
            else:
                waiting = step.factors if waiting is None else waiting * step.factors
            continue
        if isinstance(step, Slopes):
            if step.low == step.high or not (found or waiting is not None):
                factor *= step.constant
                continue
            if waiting is not None:
                found.append(_diagonal(waiting, sizes))
                waiting = None
            if isinstance(before := found[-1], Slopes):
                found[-1] = before.then(step)
                continue
        elif waiting is not None:
            if isinstance(step, SpatialSum):
                found.append(_diagonal(waiting, sizes))
            else:
                step = _columns_scaled(step, waiting, math.prod(sizes))
            waiting = None
        found.append(step)
    if waiting is not None:
        found.append(_diagonal(waiting, shapes(steps, shape)[-1][1:]))
    if found and isinstance(last := found[-1], Slopes):
        factor *= last.constant
        found.pop()
    for i, step in enumerate(found):
        if isinstance(step, Convolution | Matrix):
            peak = float(step.weight.abs().max())
            factor *= peak
            found[i] = replace(step, weight=step.weight / peak) if peak > 0 else step
    return factor, found


def _rows_scaled(step: Convolution | Matrix, factors: Tensor) -> Convolution | Matrix:
    return replace(step, weight=step.weight * factors.view(-1, *[1] * (step.weight.dim() - 1)))


def _columns_scaled(step: Convolution | Matrix, factors: Tensor, places: int) -> Convolution | Matrix:
    if isinstance(step, Matrix):
        return replace(step, weight=step.weight * factors.repeat_interleave(places))
    of_group = factors.view(step.groups, -1).repeat_interleave(len(step.weight) // step.groups, dim=0)
    return replace(step, weight=step.weight * of_group.view(*step.weight.shape[:2], *[1] * (step.weight.dim() - 2)))


def _diagonal(factors: Tensor, sizes: Sequence[int]) -> Convolution | Matrix:
    """Return the scale as a matrix, or as a convolution of maps with one tap."""
    if not sizes:
        return Matrix(torch.diag(factors))
    axes = tuple(ConvolutionAxis(size, size, kernel=1) for size in sizes)
    return Convolution(factors.view(-1, *[1] * (len(sizes) + 1)), axes, groups=len(factors))
