"""Maxima over windows: no output moves by more than the values that it is taken of."""

import math
from typing import Any

from lipschitz.estimation.upper_bound.polyphase import Axis
from lipschitz.estimation.upper_bound.traced_call import Call, Factor, tensors


def max_pool(
    call: Call, axes: int, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1
) -> Factor:
    """Max pooling over the last ``axes``, in torch's order of arguments: √(largest number of windows of one value)."""
    sizes = zip(call.input.shape[-axes:], _output_sizes(call, axes), strict=True)
    fields = zip(
        *(_each(value, axes) for value in (kernel_size, stride or kernel_size, padding, dilation)), strict=True
    )
    windows = (Axis(size, outputs, *field).windows for (size, outputs), field in zip(sizes, fields, strict=True))
    return Factor(call.times(math.sqrt(math.prod(windows))))


def adaptive_max_pool(call: Call, axes: int) -> Factor:
    """Max pooling to a given size: window i of m over n values is [⌊i n/m⌋, ⌈(i + 1) n/m⌉).

    They are disjoint where m divides n; otherwise no value lies in more than ⌈m/n⌉ + 1 of them.
    """
    sizes = zip(call.input.shape[-axes:], _output_sizes(call, axes), strict=True)
    return Factor(call.times(math.sqrt(math.prod(1 if n % m == 0 else -(-m // n) + 1 for n, m in sizes))))


def _output_sizes(call: Call, axes: int) -> tuple[int, ...]:
    """Return the last sizes of the maxima; where indices are asked for, they come second."""
    return tuple(next(tensors(call.output)).shape[-axes:])


def _each(value: Any, axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value)
