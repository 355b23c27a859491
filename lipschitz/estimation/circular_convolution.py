"""Circular convolution with a kernel as large as the map, by Fourier transforms."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FORWARD = "_conv_forward"
"""The attribute of a convolution that torch calls with input, weight and bias."""


@dataclass(frozen=True)
class CircularConvolution:
    """The forward pass of a convolution with ``padding_mode='circular'`` whose kernel is as large as the map.

    On an n x n map torch multiplies n⁴ times for each pair of channels; Fourier transforms take n² log n, and one
    product of matrices for each frequency. Set as ``_conv_forward`` of a layer; it holds nothing of the layer, so that
    copies of the layer can share it.
    """

    strides: tuple[int, ...]
    groups: int = 1

    def __call__(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Return y_i = Σ_m w_m x_(i s + m - (n - 1) // 2) + bias, with indices modulo the size n.

        Args:
            x: maps ``(b, d_in, n_1, ...)``, or one without b; computed in the dtype of ``weight``.
            weight: ``(d_out, d_in / groups, n_1, ...)``, float32 or float64.
            bias: ``(d_out,)`` or None.
        """
        if x.dim() < weight.dim():
            return self(x[None], weight, bias)[0]
        dims = tuple(range(2, weight.dim()))
        kernel = weight.roll([-((size - 1) // 2) for size in weight.shape[2:]], dims)
        phases = polyphase_kernel(x.to(weight.dtype), self.strides)
        sizes = phases.shape[2:]
        kernels = torch.fft.rfftn(polyphase_kernel(kernel, self.strides), dim=dims).conj()
        maps = torch.fft.rfftn(phases, dim=dims)
        frequencies = maps.shape[2:]
        products = torch.einsum(
            "bgif,goif->bgof",
            maps.reshape(len(x), self.groups, -1, frequencies.numel()),
            kernels.reshape(self.groups, -1, kernels.shape[1], frequencies.numel()),
        )
        spectrum = products.reshape(len(x), len(weight), *frequencies)
        output: Tensor = torch.fft.irfftn(spectrum, sizes, dim=dims)
        return output if bias is None else output + bias.view(-1, *[1] * len(dims))


def convolve_by_fourier(layer: nn.Conv1d | nn.Conv2d) -> None:
    """Give ``layer``, whose kernel is as large as its maps, a `CircularConvolution` as forward pass, in place."""
    setattr(layer, FORWARD, CircularConvolution(layer.stride, layer.groups))


@contextmanager
def convolved_by_torch(net: nn.Module) -> Iterator[None]:
    """Let layers with a `CircularConvolution` run torch's convolution within the block, such as for torch.export."""
    fast = {module: vars(module)[FORWARD] for module in net.modules() if has_circular_convolution(module)}
    for module in fast:
        delattr(module, FORWARD)
    try:
        yield
    finally:
        for module, forward in fast.items():
            setattr(module, FORWARD, forward)


def has_circular_convolution(layer: nn.Module) -> bool:
    """Say whether the forward pass of ``layer`` is a `CircularConvolution`."""
    return isinstance(vars(layer).get(FORWARD), CircularConvolution)


def on_circle(
    kernel: Tensor, sizes: Sequence[int], dilations: Sequence[int], paddings: Sequence[int] | None = None
) -> Tensor:
    """Return the kernel ``(d_out, d_in, n_1, ...)`` that multiplies x_(i s + m) by its entry m, m modulo n = ``sizes``.

    ``kernel`` is ``(d_out, d_in, k_1, ...)``. Taps that meet the same pixel on a small circle are added.
    """
    paddings = [0] * len(sizes) if paddings is None else paddings
    for dim, (size, dilation, padding) in enumerate(zip(sizes, dilations, paddings, strict=True), start=2):
        taps = torch.arange(kernel.shape[dim], device=kernel.device)
        places = (taps * dilation - padding) % size
        one_hot = places[:, None] == torch.arange(size, device=kernel.device)
        kernel = (kernel.movedim(dim, -1) @ one_hot.to(kernel.dtype)).movedim(-1, dim)
    return kernel


def polyphase_kernel(kernel: Tensor, phases: Sequence[int]) -> Tensor:
    """Return the kernel ``(d_out, d_in Πphases, b_1, b_2, ...)`` of an ordinary convolution of the input's phases.

    ``kernel`` is ``(d_out, d_in, k_1, k_2, ...)``. Taps j with the same remainder by ``phases`` multiply the same
    interleaved part of the input, and are consecutive there. So the convolution with stride s and dilation d equals one
    with stride 1 whose input channels are these parts. Where k is no multiple of ``phases`` the kernel is padded with
    zeros.
    """
    for dim, count in enumerate(phases, start=2):
        missing = -kernel.shape[dim] % count
        trailing = (0, 0) * (kernel.dim() - 1 - dim)
        kernel = F.pad(kernel, (*trailing, 0, missing))
        kernel = kernel.view(*kernel.shape[:dim], -1, count, *kernel.shape[dim + 1 :])
        kernel = kernel.movedim(dim + 1, 2).flatten(1, 2)
    return kernel
