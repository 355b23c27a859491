"""Activations with kinks as functions with two slopes each: ReLU and its kin, clamps, maxima, and sorting."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

Emit = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Given x ``(rows, ...)`` and the slopes left and right of zero, adds neurons and returns their outputs."""


class SortedValues(NamedTuple):
    """The values of torch's sort, max or min; the indices are not a continuous function."""

    values: Tensor
    indices: None = None


def two_slopes(emit: Emit, x: Tensor, negative: float | Tensor, positive: float = 1.0) -> Tensor:
    """Return ``negative`` x left of zero, and ``positive`` x right of it."""
    return emit(x, torch.as_tensor(negative, dtype=x.dtype), torch.as_tensor(positive, dtype=x.dtype))


def bent_line(emit: Emit, x: Tensor, kinks: Sequence[float], slopes: Sequence[float], value: float) -> Tensor:
    """Return the function with these ``kinks``, ascending, the slopes between them, and ``value`` at the first kink.

    It is s_0 x + c + Σ (s_i - s_(i-1)) relu(x - kink_i).
    """
    bent = slopes[0] * (x - kinks[0]) + value
    for kink, left, right in zip(kinks, slopes[:-1], slopes[1:], strict=True):
        bent = bent + (right - left) * two_slopes(emit, x - kink, 0.0)
    return bent


def _in_place(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return ``function`` as one that also changes its input if it is called with ``inplace``."""

    def apply(emit: Emit, x: Tensor, *arguments: Any, inplace: bool = False, **keywords: Any) -> Tensor:
        result = function(emit, x, *arguments, **keywords)
        return x.copy_(result) if inplace else result

    return apply


def _always_in_place(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda emit, x, *arguments, **keywords: x.copy_(function(emit, x, *arguments, **keywords))


def _relu(emit: Emit, x: Tensor) -> Tensor:
    return two_slopes(emit, x, 0.0)


def _abs(emit: Emit, x: Tensor) -> Tensor:
    return two_slopes(emit, x, -1.0)


def _leaky_relu(emit: Emit, x: Tensor, negative_slope: float = 0.01) -> Tensor:
    return two_slopes(emit, x, negative_slope)


def _prelu(emit: Emit, x: Tensor, weight: Tensor) -> Tensor:
    """Slopes by channel, which is the axis after the samples."""
    return two_slopes(emit, x, weight.detach().reshape(-1, *[1] * max(x.dim() - 2, 0)))


def _rrelu(emit: Emit, x: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False) -> Tensor:
    if training:
        raise ValueError("rrelu in training mode is random")
    return two_slopes(emit, x, (lower + upper) / 2)


def _clamp(emit: Emit, x: Tensor, min: float | None = None, max: float | None = None) -> Tensor:
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        raise ValueError("clamp is read with numbers as bounds only")
    if min is None:
        return x if max is None else bent_line(emit, x, (max,), (1.0, 0.0), max)
    if max is None:
        return bent_line(emit, x, (min,), (0.0, 1.0), min)
    if min > max:
        raise ValueError("clamp has a lower bound above its upper bound")
    return bent_line(emit, x, (min, max), (0.0, 1.0, 0.0), min)


def _hardtanh(emit: Emit, x: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    return _clamp(emit, x, min_val, max_val)


def _relu6(emit: Emit, x: Tensor) -> Tensor:
    return _clamp(emit, x, 0.0, 6.0)


def _hardsigmoid(emit: Emit, x: Tensor) -> Tensor:
    return bent_line(emit, x, (-3.0, 3.0), (0.0, 1 / 6, 0.0), 0.0)


def _softshrink(emit: Emit, x: Tensor, lambd: float = 0.5) -> Tensor:
    return bent_line(emit, x, (-lambd, lambd), (1.0, 0.0, 1.0), 0.0)


def _maximum(emit: Emit, x: Tensor, other: Tensor) -> Tensor:
    return other + two_slopes(emit, x - other, 0.0)


def _minimum(emit: Emit, x: Tensor, other: Tensor) -> Tensor:
    return x - two_slopes(emit, x - other, 0.0)


def _sort(emit: Emit, x: Tensor, dim: int = -1, descending: bool = False, stable: bool | None = None) -> SortedValues:
    """Sort by a network of comparators; each is min, max = a - d, b + d with d = relu(a - b)."""
    for lower, upper in comparators(x.shape[dim]):
        a, b = (x.index_select(dim, torch.tensor(places)) for places in (lower, upper))
        d = two_slopes(emit, a - b, 0.0)
        x = x.index_copy(dim, torch.tensor(lower), a - d).index_copy(dim, torch.tensor(upper), b + d)
    return SortedValues(x.flip(dim) if descending else x)


def comparators(n: int) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the layers of Batcher's odd-even merge sort of n values, each the lower and upper places it compares.

    Batcher 1968 (Sorting networks and their applications, AFIPS 32).
    """
    merged = 1
    while merged < n:
        distance = merged
        while distance:
            places = [
                i
                for start in range(distance % merged, n - distance, 2 * distance)
                for i in range(start, min(start + distance, n - distance))
                if i // (2 * merged) == (i + distance) // (2 * merged)
            ]
            yield places, [i + distance for i in places]
            distance //= 2
        merged *= 2


def _largest(emit: Emit, x: Tensor, dim: Any = None, keepdim: bool = False) -> SortedValues | Tensor:
    """Return the maximum of two tensors, or with an axis the largest value along it, as torch's max does."""
    if isinstance(dim, Tensor):
        return _maximum(emit, x, dim)
    return SortedValues(_amax(emit, x, dim, keepdim))


def _smallest(emit: Emit, x: Tensor, dim: Any = None, keepdim: bool = False) -> SortedValues | Tensor:
    """Return the minimum of two tensors, or with an axis the smallest value along it, as torch's min does."""
    if isinstance(dim, Tensor):
        return _minimum(emit, x, dim)
    return SortedValues(-_amax(emit, -x, dim, keepdim))


def _amax(emit: Emit, x: Tensor, dim: int, keepdim: bool = False) -> Tensor:
    largest, *others = x.unbind(dim)
    for other in others:
        largest = _maximum(emit, largest, other)
    return largest.unsqueeze(dim) if keepdim else largest


def _amin(emit: Emit, x: Tensor, dim: int, keepdim: bool = False) -> Tensor:
    return -_amax(emit, -x, dim, keepdim)


ACTIVATIONS: dict[str, Callable[..., Any]] = {
    "relu": _in_place(_relu),
    "relu_": _always_in_place(_relu),
    "leaky_relu": _in_place(_leaky_relu),
    "leaky_relu_": _always_in_place(_leaky_relu),
    **dict.fromkeys(("abs", "absolute", "__abs__"), _abs),
    **dict.fromkeys(("clamp", "clip"), _clamp),
    **dict.fromkeys(("clamp_", "clip_"), _always_in_place(_clamp)),
    "clamp_min": lambda emit, x, min: _clamp(emit, x, min),
    "clamp_max": lambda emit, x, max: _clamp(emit, x, None, max),
    "hardtanh": _in_place(_hardtanh),
    "hardtanh_": _always_in_place(_hardtanh),
    "relu6": _in_place(_relu6),
    "hardsigmoid": _in_place(_hardsigmoid),
    "prelu": _prelu,
    "rrelu": _in_place(_rrelu),
    "softshrink": _softshrink,
    "maximum": _maximum,
    "minimum": _minimum,
    "max": _largest,
    "min": _smallest,
    "amax": _amax,
    "amin": _amin,
    "sort": _sort,
}
"""By torch's name of the function: returns its value, given `Emit` and its arguments."""
