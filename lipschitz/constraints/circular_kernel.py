"""Orthogonal circular convolutions: a kernel as large as the map, made from a small one in the Fourier domain."""

import math
from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lipschitz.constraints.base import Refusal
from lipschitz.constraints.certified import CertifiedWeight
from lipschitz.estimation.circular_convolution import (
    convolve_by_fourier,
    on_circle,
    polyphase_kernel,
)
from lipschitz.estimation.layers import WeightedLayer
from lipschitz.estimation.upper_bound.polyphase import ConvolutionAxis, convolution_axes


class CircularKernel(CertifiedWeight):
    """W -> c K, with K the kernel of a convolution with circular padding that is orthogonal at every frequency.

    A stride s is an invertible downsampling: the s x s phases of the map become channels. The Fourier transform of the
    circular convolution with W is then a matrix ``(d_out, d_in s²)`` for each frequency. A subclass makes each of them
    orthogonal (`orthogonal`), and K is the transform back. K has as many taps as the map has pixels, so that the layer
    stays a convolution, with ``padding_mode='circular'``, and its forward pass is `CircularConvolution`, by Fourier
    transforms of the map.

    Linear layers, and kernels whose windows are disjoint, are a single matrix. Their shape and padding stay.
    """

    def __init__(self, coefficient: float, groups: int, axes: Sequence[ConvolutionAxis]) -> None:
        super().__init__(coefficient)
        self.groups, self.axes = groups, tuple(axes)
        self.circular = any(axis.kernel > axis.phases for axis in axes)

    @abstractmethod
    def orthogonal(self, blocks: Tensor) -> Tensor:
        """Return orthogonal matrices in place of ``blocks``, float64 or complex128 ``(frequencies, groups, m, n)``."""

    def adapt(self, layer: nn.Module) -> None:
        """Let a convolution pad in a circle, for a kernel of the size of the map."""
        if self.circular:
            assert isinstance(layer, nn.Conv1d | nn.Conv2d)
            sizes = tuple(axis.size for axis in self.axes)
            layer.kernel_size, layer.dilation = sizes, (1,) * len(sizes)
            layer.padding, layer.padding_mode = "same", "circular"
            layer._reversed_padding_repeated_twice = [
                side for size in reversed(sizes) for side in ((size - 1) // 2, size // 2)
            ]
            convolve_by_fourier(layer)

    def bounded(self, weight: Tensor) -> Tensor:
        """Return K in float64."""
        found = self.orthogonal(self.blocks(weight))
        if not self.circular:
            return found.reshape(weight.shape)
        strides = [axis.stride for axis in self.axes]
        return centred(_without_phases(self.kernel(found), strides))

    def blocks(self, weight: Tensor) -> Tensor:
        """Return the matrices of all frequencies, ``(frequencies, groups, d_out / groups, d_in s² / groups)``."""
        if not self.circular:
            return weight.double().reshape(1, self.groups, len(weight) // self.groups, -1)
        strides, sizes, dilations, paddings = zip(
            *((axis.stride, axis.size, axis.dilation, axis.padding) for axis in self.axes), strict=True
        )
        kernel = polyphase_kernel(on_circle(weight.double(), sizes, dilations, paddings), strides)
        spectrum = torch.fft.rfftn(kernel, dim=tuple(range(2, weight.dim())))
        grouped: Tensor = spectrum.view(self.groups, -1, spectrum.shape[1], spectrum[0, 0].numel())
        return grouped.movedim(3, 0)

    def kernel(self, blocks: Tensor) -> Tensor:
        """Return the kernel ``(d_out, d_in, n_1, ...)`` of the circular convolution of phases that has these matrices.

        Its entry m multiplies x_(i + m).
        """
        sizes = [axis.size // axis.stride for axis in self.axes]
        spectrum = blocks.movedim(0, 3).flatten(0, 1)
        spectrum = spectrum.reshape(*spectrum.shape[:2], *sizes[:-1], sizes[-1] // 2 + 1)
        kernel: Tensor = torch.fft.irfftn(spectrum, sizes, dim=tuple(range(2, spectrum.dim())))
        return kernel


def circular_axes(layer: WeightedLayer, shape: torch.Size) -> tuple[int, tuple[ConvolutionAxis, ...]]:
    """Return the groups of ``layer`` and its axes for an input of ``shape``.

    Raises:
        Refusal: no circular convolution has the layer's output size.
    """
    axes = convolution_axes(layer, shape)
    overlapping = any(axis.kernel > axis.phases for axis in axes)
    if overlapping and isinstance(layer, nn.ConvTranspose2d):
        raise Refusal(
            "it pads in a circle, but torch has no ConvTranspose2d that does, and the windows overlap; "
            "allowed: Linear, Conv1d, Conv2d, and ConvTranspose2d with disjoint windows"
        )
    if overlapping and any(axis.outputs * axis.stride != axis.size for axis in axes):
        size, output = (tuple(getattr(axis, name) for axis in axes) for name in ("size", "outputs"))
        stride = tuple(axis.stride for axis in axes)
        raise Refusal(
            f"it pads in a circle, but the layer makes a map {output} of a map {size} with stride {stride}; "
            "allowed: an output whose size is that of the map divided by the stride"
        )
    return 1 if isinstance(layer, nn.Linear) else layer.groups, axes


def as_tall(blocks: Tensor) -> tuple[Tensor, bool]:
    """Return ``blocks`` ``(..., m, n)`` or their adjoints, with m >= n, and whether they are the adjoints."""
    wide = blocks.shape[-2] < blocks.shape[-1]
    return (blocks.mH if wide else blocks), wide


def centred(kernel: Tensor) -> Tensor:
    """Shift the entries of ``kernel``, so that its window begins (n - 1) // 2 pixels before the output's pixel."""
    return kernel.roll([(size - 1) // 2 for size in kernel.shape[2:]], tuple(range(2, kernel.dim())))


def _without_phases(kernel: Tensor, strides: Sequence[int]) -> Tensor:
    """Undo `polyphase_kernel`: ``(d_out, d_in Πs, b_1, ...)`` -> ``(d_out, d_in, b_1 s_1, ...)``."""
    sizes = [b * s for b, s in zip(kernel.shape[2:], strides, strict=True)]
    inputs = kernel.shape[1] // math.prod(strides)
    count = len(strides)
    parts = kernel.view(len(kernel), inputs, *strides, *kernel.shape[2:])
    order = [axis for a in range(count) for axis in (2 + count + a, 2 + a)]
    return parts.permute(0, 1, *order).reshape(len(kernel), inputs, *sizes)
