"""Lipschitz constants of pooling, reshaping, padding and interpolation: layers and functions without weights."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lipschitz.estimation.upper_bound.polyphase import ConvolutionAxis
from lipschitz.estimation.upper_bound.traced_call import UNKNOWN, Call, LipschitzConstant, tensors_in

RESHAPING = """
    flatten ravel view reshape unflatten permute transpose swapaxes swapdims movedim moveaxis squeeze unsqueeze
    contiguous clone chunk split tensor_split unbind getitem narrow select diagonal unfold expand repeat tile
    repeat_interleave roll flip t pad pixel_shuffle pixel_unshuffle channel_shuffle gather index_select take_along_dim
"""
AVERAGING = """
    mean sum interpolate upsample avg_pool1d avg_pool2d avg_pool3d
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
"""
LINEAR_FUNCTIONS = frozenset((RESHAPING + AVERAGING).split())
"""By torch's name: affine functions of the first argument whose weights are all >= 0."""

LINEAR_MODULES: tuple[type[nn.Module], ...] = (
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
"""Modules that are affine functions with weights >= 0."""

SIGNED_INTERPOLATION = ("bicubic", "lanczos")
"""Modes of interpolation that have weights of both signs."""


def linear_constant(call: Call) -> LipschitzConstant:
    """One of `LINEAR_FUNCTIONS` or `LINEAR_MODULES`: a bound of the norm of its linear part, times the constant."""
    options = (*call.arguments[1:], *call.keywords.values(), getattr(call.function, "mode", None))
    if not call.is_unary() or any(value in SIGNED_INTERPOLATION for value in options if isinstance(value, str)):
        return UNKNOWN
    norm = nonnegative_norm(lambda x: call.function(x, *call.arguments[1:], **call.keywords), call.input)
    return LipschitzConstant(call.times_input_constant(norm))


def nonnegative_norm(affine: Callable[[Tensor], Any], like: Tensor) -> float:
    """Bound the spectral norm of A, the linear part of ``affine`` on inputs shaped like ``like``; all entries >= 0.

    ‖A‖₂² <= ‖A‖₁ ‖A‖_∞ (Schur), the largest column sum times the largest row sum. Row sums are A applied to ones,
    column sums Aᵀ applied to ones. The bound is exact where all rows have the same sum and all columns too: for
    averages over disjoint windows, for sums, and for maps that only move values or repeat each value equally often.
    """
    with torch.enable_grad():
        ones = torch.ones_like(like, requires_grad=True)
        outputs = list(tensors_in(affine(ones)))
        columns = torch.zeros_like(like)
        if outputs:
            (columns,) = torch.autograd.grad([output.sum() for output in outputs], ones)
    with torch.no_grad():
        shifts = list(tensors_in(affine(torch.zeros_like(like))))
    rows = [float((a.detach() - b).max()) for a, b in zip(outputs, shifts, strict=True) if a.numel()]
    return math.sqrt(float(columns.max()) * max(rows, default=0.0))


def max_pool_constant(
    call: Call, axes: int, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1
) -> LipschitzConstant:
    """Max pooling over the last ``axes`` axes: the root of the largest number of windows that hold one value.

    A maximum changes by no more than the values of its window. Arguments are in torch's order.
    """
    sizes = zip(call.input.shape[-axes:], _output_sizes(call, axes), strict=True)
    fields = zip(
        *(_per_axis(value, axes) for value in (kernel_size, stride or kernel_size, padding, dilation)), strict=True
    )
    windows = (
        ConvolutionAxis(size, outputs, *field).windows_per_input
        for (size, outputs), field in zip(sizes, fields, strict=True)
    )
    return LipschitzConstant(call.times_input_constant(math.sqrt(math.prod(windows))))


def adaptive_max_pool_constant(call: Call, axes: int) -> LipschitzConstant:
    """Max pooling to a given output size, over the last ``axes`` axes: as `max_pool_constant`, or a little above.

    Window i of m over n values is [⌊i n/m⌋, ⌈(i + 1) n/m⌉). The windows are disjoint where m divides n. Otherwise no
    value lies in more than ⌈m/n⌉ + 1 of them.
    """
    sizes = zip(call.input.shape[-axes:], _output_sizes(call, axes), strict=True)
    windows = (1 if n % m == 0 else -(-m // n) + 1 for n, m in sizes)
    return LipschitzConstant(call.times_input_constant(math.sqrt(math.prod(windows))))


def _output_sizes(call: Call, axes: int) -> tuple[int, ...]:
    """Return the last ``axes`` sizes of the maxima, which are the first output where indices are returned too."""
    return tuple(next(tensors_in(call.output)).shape[-axes:])


def _per_axis(value: Any, axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value)
