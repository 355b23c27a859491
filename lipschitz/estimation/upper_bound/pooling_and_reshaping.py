"""Lipschitz constants of pooling, reshaping, padding and interpolation: operators without weights."""

import math
from typing import Any

import torch

from lipschitz.estimation.upper_bound.activation_slopes import IDENTITY
from lipschitz.estimation.upper_bound.gram_iteration import spectral_norm_bound
from lipschitz.estimation.upper_bound.nonnegative_maps import nonnegative_norm
from lipschitz.estimation.upper_bound.polyphase import ConvolutionAxis
from lipschitz.estimation.upper_bound.traced_call import Call, LinearMap, LipschitzConstant, tensors_in

RESHAPING = """
    flatten ravel view view_as _unsafe_view reshape reshape_as unflatten permute transpose numpy_T t mT
    swapaxes swapdims movedim moveaxis squeeze unsqueeze
    chunk split split_with_sizes tensor_split unsafe_chunk unsafe_split unbind select slice narrow diagonal unfold
    expand expand_as repeat tile repeat_interleave roll flip fliplr flipud rot90
    pad constant_pad_nd reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d
    pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle im2col col2im
    index gather index_select take_along_dim tril triu masked_fill
"""
AVERAGING = """
    mean sum cumsum trace
    upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d
    _upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d upsample_trilinear3d
    avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    _adaptive_avg_pool2d _adaptive_avg_pool3d
"""
SAME_VALUES = "alias detach clone contiguous to _to_copy type_as lift_fresh_copy positive"
IDENTITIES = frozenset(SAME_VALUES.split())
"""By ATen's name: functions that return the same values, up to the rounding of float32."""
LINEAR_FUNCTIONS = IDENTITIES.union(RESHAPING.split(), AVERAGING.split())
"""By ATen's name: affine functions of the first argument whose weights are all >= 0."""

PADDING_MODES = ("circular", "reflect", "replicate")
MAX_POOLS = {f"max_pool{axes}d{form}": axes for axes in (1, 2, 3) for form in ("", "_with_indices")}
ADAPTIVE_MAX_POOLS = {f"adaptive_max_pool{axes}d": axes for axes in (1, 2, 3)}


def linear_constant(call: Call) -> LipschitzConstant:
    """One of `LINEAR_FUNCTIONS`: a bound of the norm of its linear part, times the constant."""
    if call.name in IDENTITIES:
        return _identity(call)
    padding = None
    if call.name == "pad" and len(call.arguments) > 2 and call.arguments[2] in PADDING_MODES:
        padding = (str(call.arguments[2]), tuple(call.arguments[1]))
    return call.affine(nonnegative_norm(call.of_input, call.input), LinearMap(call.of_input, padding=padding))


def _identity(call: Call) -> LipschitzConstant:
    rounded = call.output.dtype == torch.float32 and call.input.dtype == torch.float64
    return call.affine(1.0, note="rounds to float32; the bound does not count that" if rounded else "", slopes=IDENTITY)


def bicubic_constant(call: Call) -> LipschitzConstant:
    """Bicubic interpolation: the product of the norms of its matrices along the two axes, of which it is the product.

    The weights along an axis have both signs and the sum one. So an input that is constant along one axis shows the
    matrix along the other.
    """
    like, norms = call.input, []
    for axis in (-2, -1):
        size = like.shape[axis]
        unit = torch.eye(size, dtype=like.dtype, device=like.device).view(
            size, 1, *((size, 1) if axis == -2 else (1, size))
        )
        output = call.of_input(unit.expand(size, 1, *like.shape[-2:]))
        norms.append(float(spectral_norm_bound(output.select(-3 - axis, 0).flatten(1), None)))
    return call.affine(math.prod(norms))


def max_pool_constant(
    call: Call, axes: int, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: Any = 0
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
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * axes if len(values) == 1 else values
