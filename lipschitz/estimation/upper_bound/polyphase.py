"""Rewrite a zero-padded convolution with stride and dilation as part of a circular one (polyphase form)."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from lipschitz.estimation.layers import AffineLayer, is_transposed


@dataclass(frozen=True)
class ConvolutionAxis:
    """One axis of a convolution: y_i = Σ_j w_j x_(i s - p + j d) for 0 <= i < outputs, x zero outside 0..size - 1."""

    size: int
    outputs: int
    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1

    def position(self, output: int, tap: int) -> int:
        """Return the index of the input that ``tap`` of the kernel multiplies at ``output``; padding is outside."""
        return output * self.stride - self.padding + tap * self.dilation

    @cached_property
    def products(self) -> list[tuple[int, int]]:
        """Each (input index, tap) that is multiplied; products with padding are left out."""
        pairs = ((self.position(i, j), j) for i in range(self.outputs) for j in range(self.kernel))
        return [(position, tap) for position, tap in pairs if 0 <= position < self.size]

    @cached_property
    def used_taps(self) -> slice:
        """The kernel from the first to the last tap that multiplies the input. Other taps only multiply padding."""
        used = [tap for _, tap in self.products] or [0]
        return slice(min(used), max(used) + 1)

    @cached_property
    def windows_per_input(self) -> int:
        """The largest number of outputs that depend on one input: ceil(k gcd(s, d) / s) away from the border."""
        return max(Counter(position for position, _ in self.products).values(), default=0)

    @cached_property
    def phases(self) -> int:
        """The number of interleaved parts of the input that different taps multiply: s / gcd(s, d)."""
        return self.stride // math.gcd(self.stride, self.dilation)

    @cached_property
    def circle_size(self) -> int:
        """The size of a circle on which each phase can be convolved, in steps of lcm(s, d).

        It is large enough for the input and the larger of the two paddings. Then what leaves the circle on one side
        comes back as a zero of the padding on the other side. A phase with a single tap is only scaled: its circle has
        size one.
        """
        taps = self.used_taps
        if taps.stop - taps.start <= self.phases:
            return 1
        left = -self.position(0, taps.start)
        right = self.position(self.outputs - 1, taps.stop - 1) - (self.size - 1)
        return -(-(self.size + max(left, right, 0)) // math.lcm(self.stride, self.dilation))


@dataclass(frozen=True, eq=False)
class Kernel:
    """The weight and the arguments of a linear layer or of a zero-padded convolution, named as in torch; no bias."""

    weight: Tensor
    """``(d_out, d_in)`` or ``(d_out, d_in / groups, k_1, ...)``; transposed, ``(d_in, d_out / groups, k_1, ...)``."""
    stride: tuple[int, ...] = ()
    padding: str | tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    groups: int = 1
    transposed: bool = False
    output_padding: tuple[int, ...] = ()

    @property
    def dimensions(self) -> int:
        """The number of axes that are convolved; zero for a linear layer."""
        return self.weight.dim() - 2

    def axes(self, sizes: Sequence[int]) -> tuple[ConvolutionAxis, ...]:
        """Return the axes that are convolved, for an input of ``sizes`` along them.

        A transposed convolution is the adjoint of a convolution: the one that its stored kernel, read as ``(d_out,
        d_in, ...)``, defines from the output to the input. For it the axes of that convolution are returned.
        """
        axes = []
        for a, size in enumerate(sizes):
            kernel, stride, dilation = self.weight.shape[2 + a], self.stride[a], self.dilation[a]
            reach = dilation * (kernel - 1)
            padding, both = _padding(self.padding, a, reach)
            if self.transposed:
                larger = (size - 1) * stride - both + reach + self.output_padding[a] + 1
                axes.append(ConvolutionAxis(larger, size, kernel, stride, padding, dilation))
            else:
                outputs = (size + both - reach - 1) // stride + 1
                axes.append(ConvolutionAxis(size, outputs, kernel, stride, padding, dilation))
        return tuple(axes)

    def apply(self, x: Tensor) -> Tensor:
        """Apply the linear map to ``x`` ``(n, d_in, ...)``."""
        if not self.dimensions:
            return F.linear(x, self.weight)
        arguments: tuple[Any, ...] = (self.stride, self.padding, self.dilation, self.groups)
        functions: tuple[Any, ...] = (F.conv1d, F.conv2d, F.conv3d)
        if self.transposed:
            arguments = (self.stride, self.padding, self.output_padding, self.groups, self.dilation)
            functions = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)
        output: Tensor = functions[self.dimensions - 1](x, self.weight, None, *arguments)
        return output


def layer_kernel(layer: AffineLayer) -> Kernel:
    """Return the effective weight of a layer, and its arguments.

    Raises:
        ValueError: a padding mode other than zeros.
    """
    if isinstance(layer, nn.Linear):
        return Kernel(layer.weight)
    if layer.padding_mode != "zeros":
        raise ValueError(f"padding mode '{layer.padding_mode}' is not supported; supported: zeros")
    return Kernel(
        layer.weight,
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.groups,
        is_transposed(layer),
        layer.output_padding,
    )


def convolution_axes(layer: AffineLayer, input_shape: Sequence[int]) -> tuple[ConvolutionAxis, ...]:
    """Return the axes along which ``layer`` convolves one sample ``(c, ...)``; none for a Linear layer.

    See `Kernel.axes` and `layer_kernel`.
    """
    return () if isinstance(layer, nn.Linear) else layer_kernel(layer).axes(input_shape[1:])


def _padding(padding: str | tuple[int, ...], axis: int, reach: int) -> tuple[int, int]:
    """Return the padding before the input, and the sum of the padding on both sides."""
    if isinstance(padding, str):
        return (reach // 2, reach) if padding == "same" else (0, 0)
    return padding[axis], 2 * padding[axis]
