"""A zero-padded convolution with stride and dilation as part of an ordinary circular one of its phases."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor, nn
from torch.nn import functional as F

from lipschitz.estimation.layers import WeightedLayer


@dataclass(frozen=True)
class Axis:
    """One axis of a convolution: y_i = Σ_j w_j x_(i s - p + j d) for 0 <= i < outputs, x zero outside 0..size - 1."""

    size: int
    outputs: int
    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1

    def position(self, output: int, tap: int) -> int:
        """Return the index of the input that ``tap`` of the kernel meets at ``output``; padding lies outside it."""
        return output * self.stride - self.padding + tap * self.dilation

    @cached_property
    def meetings(self) -> list[tuple[int, int]]:
        """Each (input index, tap) that meet: what the kernel does to padding is left out."""
        pairs = ((self.position(i, j), j) for i in range(self.outputs) for j in range(self.kernel))
        return [(position, tap) for position, tap in pairs if 0 <= position < self.size]

    @cached_property
    def taps(self) -> slice:
        """The kernel from the first to the last tap that meets the input: the rest is no part of the operator."""
        met = [tap for _, tap in self.meetings] or [0]
        return slice(min(met), max(met) + 1)

    @cached_property
    def windows(self) -> int:
        """The largest number of outputs that see one input; ceil(k gcd(s, d) / s) away from the border."""
        return max(Counter(position for position, _ in self.meetings).values(), default=0)

    @cached_property
    def phases(self) -> int:
        """The number of interleaved parts of the input, s / gcd(s, d), that different taps meet."""
        return self.stride // math.gcd(self.stride, self.dilation)

    @cached_property
    def cells(self) -> int:
        """The size of a circle on which each phase may be convolved, in steps of lcm(s, d).

        The input and one padding, the larger of the two, fit on that many steps, so that what leaves the circle on one
        side comes back as a zero of the other's. A phase that one tap meets needs no circle: it is only scaled.
        """
        taps = self.taps
        if taps.stop - taps.start <= self.phases:
            return 1
        left = -self.position(0, taps.start)
        right = self.position(self.outputs - 1, taps.stop - 1) - (self.size - 1)
        return -(-(self.size + max(left, right, 0)) // math.lcm(self.stride, self.dilation))


def axes(layer: WeightedLayer, input_shape: Sequence[int]) -> tuple[Axis, ...]:
    """Return the axes along which ``layer`` convolves one sample ``(c, ...)``; those of its adjoint if transposed.

    A transposed convolution is the adjoint of the convolution that its kernel, read as ``(d_out, d_in, ...)``, defines
    from its output to its input. A Linear layer has none.

    Raises:
        ValueError: a padding mode other than zeros.
    """
    if isinstance(layer, nn.Linear):
        return ()
    if layer.padding_mode != "zeros":
        raise ValueError(f"padding mode '{layer.padding_mode}' is not measured; allowed: zeros")
    found = []
    for a, size in enumerate(input_shape[1:]):
        kernel, stride, dilation = layer.kernel_size[a], layer.stride[a], layer.dilation[a]
        reach = dilation * (kernel - 1)
        padding, both = _padding(layer.padding, a, reach)
        if isinstance(layer, nn.ConvTranspose2d):
            larger = (size - 1) * stride - both + reach + layer.output_padding[a] + 1
            found.append(Axis(larger, size, kernel, stride, padding, dilation))
        else:
            outputs = (size + both - reach - 1) // stride + 1
            found.append(Axis(size, outputs, kernel, stride, padding, dilation))
    return tuple(found)


def polyphase(kernel: Tensor, phases: Sequence[int]) -> Tensor:
    """Return the kernel ``(d_out, d_in Πphases, b_1, b_2, ...)`` of the ordinary convolution of a kernel's phases.

    ``kernel``: ``(d_out, d_in, k_1, k_2, ...)``. Taps j with one remainder by ``phases`` meet one interleaved part of
    the input, and follow each other there: the convolution with stride s and dilation d acts on those parts as one
    with stride 1 acts on as many more channels. Where k is no multiple of ``phases``, zeros fill the last tap.
    """
    for dim, count in enumerate(phases, start=2):
        filled = -kernel.shape[dim] % count
        trailing = (0, 0) * (kernel.dim() - 1 - dim)
        kernel = F.pad(kernel, (*trailing, 0, filled))
        kernel = kernel.view(*kernel.shape[:dim], -1, count, *kernel.shape[dim + 1 :])
        kernel = kernel.movedim(dim + 1, 2).flatten(1, 2)
    return kernel


def _padding(padding: str | tuple[int, ...], axis: int, reach: int) -> tuple[int, int]:
    """Return the padding before the input, and that on both sides together."""
    if isinstance(padding, str):
        return (reach // 2, reach) if padding == "same" else (0, 0)
    return padding[axis], 2 * padding[axis]
