"""Linear maps without weights: averages, sums, and whatever moves, copies or drops values."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lipschitz.estimation.upper_bound.traced_call import UNKNOWN, Call, Factor, tensors

MOVES = """
    flatten ravel view reshape unflatten permute transpose swapaxes swapdims movedim moveaxis squeeze unsqueeze
    contiguous clone chunk split tensor_split unbind getitem narrow select diagonal unfold expand repeat tile
    repeat_interleave roll flip t pad pixel_shuffle pixel_unshuffle channel_shuffle gather index_select take_along_dim
"""
MEANS = """
    mean sum interpolate upsample avg_pool1d avg_pool2d avg_pool3d
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
"""
FUNCTIONS = frozenset((MOVES + MEANS).split())
"""By torch's name: all that is done to the first argument has weights of one sign."""

MODULES: tuple[type[nn.Module], ...] = (
    nn.Flatten,
    nn.Unflatten,
    nn.AvgPool1d,
    nn.AvgPool2d,
    nn.AvgPool3d,
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveAvgPool3d,
    nn.Upsample,
    nn.UpsamplingNearest2d,
    nn.UpsamplingBilinear2d,
    nn.PixelShuffle,
    nn.PixelUnshuffle,
    nn.ChannelShuffle,
    nn.Unfold,
    nn.ConstantPad1d,
    nn.ConstantPad2d,
    nn.ConstantPad3d,
    nn.ZeroPad1d,
    nn.ZeroPad2d,
    nn.ZeroPad3d,
    nn.ReflectionPad1d,
    nn.ReflectionPad2d,
    nn.ReplicationPad1d,
    nn.ReplicationPad2d,
    nn.CircularPad1d,
    nn.CircularPad2d,
)

SIGNED = ("bicubic", "lanczos")
"""Interpolations that have weights of both signs."""


def linear(call: Call) -> Factor:
    """One of `FUNCTIONS` or `MODULES`: at most the norm of its linear part."""
    described = (*call.arguments[1:], *call.keywords.values(), getattr(call.function, "mode", None))
    if not call.unary() or any(value in SIGNED for value in described if isinstance(value, str)):
        return UNKNOWN
    norm = nonnegative_norm(lambda x: call.function(x, *call.arguments[1:], **call.keywords), call.input)
    return Factor(call.times(norm))


def nonnegative_norm(affine: Callable[[Tensor], Any], like: Tensor) -> float:
    """Bound the norm of the linear part A of ``affine``, on inputs shaped like ``like``, whose entries are all >= 0.

    ‖A‖₂² <= ‖A‖₁ ‖A‖_∞, the largest sum of a column times that of a row (Schur): A applied to ones, and its adjoint.
    That is ‖A‖₂² itself where all rows have one sum and all columns one: for disjoint averages, for sums, and for maps
    that only move values or copy each as often.
    """
    with torch.enable_grad():
        ones = torch.ones_like(like, requires_grad=True)
        outputs = list(tensors(affine(ones)))
        columns = torch.zeros_like(like)
        if outputs:
            (columns,) = torch.autograd.grad([output.sum() for output in outputs], ones)
    with torch.no_grad():
        shifts = list(tensors(affine(torch.zeros_like(like))))
    rows = [float((a.detach() - b).max()) for a, b in zip(outputs, shifts, strict=True) if a.numel()]
    return math.sqrt(float(columns.max()) * max(rows, default=0.0))
