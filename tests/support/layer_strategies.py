"""Hypothesis strategies for weighted layers, the dense matrix of a layer, and its measured σ."""

from typing import NamedTuple

import numpy as np
import torch
from hypothesis import assume
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from lipschitz.estimation.layers import AffineLayer
from lipschitz.estimation.sigma.layer_sigmas import layer_sigmas


class Drawn(NamedTuple):
    """A layer in float64 and the shape of one input sample."""

    layer: AffineLayer
    shape: torch.Size


def dense(layer: AffineLayer, shape: torch.Size) -> np.ndarray:
    """Return the matrix of the layer without its bias: its output for the identity minus its output for zero."""
    identity = torch.eye(shape.numel(), dtype=torch.float64).view(-1, *shape)
    with torch.no_grad():
        images = layer(identity) - layer(torch.zeros_like(identity[:1]))
    return images.flatten(1).T.numpy()


def on_a_torus(layer: nn.Conv2d, channels: int, size: int) -> np.ndarray:
    """Return the matrix of the convolution without its bias, on maps that are continued periodically."""
    x = torch.eye(channels * size**2, dtype=torch.float64).view(-1, channels, size, size)
    reach = layer.dilation[0] * (layer.kernel_size[0] - 1)
    padded = F.pad(x, (0, reach, 0, reach), mode="circular")
    y = F.conv2d(padded, layer.weight.detach(), None, layer.stride, 0, layer.dilation, layer.groups)
    return y.flatten(1).T.numpy()


def operator_sigma(layer: AffineLayer, shape: tuple[int, ...], *, tolerance: float = 1e-3) -> float:
    """Return the measured σ of the layer's operator, see `layer_sigmas`."""
    return layer_sigmas(layer, layer.weight.new_zeros((1, *shape)), tolerance=tolerance)[""].operator


@st.composite
def convolutions(draw: st.DrawFn, *, grouped: bool = True, most_axes: int = 2) -> Drawn:
    """Draw a Conv1d, Conv2d or Conv3d with a kernel size, stride, padding, dilation and groups."""
    axes = draw(st.integers(1, most_axes))
    kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1]
    kernel, padding, dilation = draw(st.integers(1, 4)), draw(st.integers(0, 2)), draw(st.integers(1, 2))
    sizes = [draw(st.integers(1, 5 if axes < 3 else 3)) for _ in range(axes)]
    assume(min(sizes) + 2 * padding > dilation * (kernel - 1))
    groups = draw(st.sampled_from([1, 2])) if grouped else 1
    inputs, outputs = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    torch.manual_seed(draw(st.integers(0, 1000)))
    options = {"stride": draw(st.integers(1, 3)), "padding": padding, "dilation": dilation, "groups": groups}
    layer = kind(inputs, outputs, kernel, **options)
    return Drawn(layer.double(), torch.Size((inputs, *sizes)))


@st.composite
def transposed_convolutions(draw: st.DrawFn, *, grouped: bool = True, axes: tuple[int, ...] = (2,)) -> Drawn:
    """Draw a ConvTranspose2d, or one with another number of ``axes``, with the same options and an output padding."""
    dimensions = draw(st.sampled_from(axes))
    kind = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[dimensions - 1]
    kernel, padding, dilation = draw(st.integers(1, 4)), draw(st.integers(0, 2)), draw(st.integers(1, 2))
    stride, size, groups = (
        draw(st.integers(1, 3)),
        draw(st.integers(1, 4 if dimensions < 3 else 2)),
        draw(st.sampled_from([1, 2])) if grouped else 1,
    )
    extra = draw(st.integers(0, max(stride, dilation) - 1))
    assume((size - 1) * stride - 2 * padding + dilation * (kernel - 1) + extra + 1 > 0)
    inputs, outputs = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    torch.manual_seed(draw(st.integers(0, 1000)))
    layer = kind(inputs, outputs, kernel, stride, padding, extra, groups, dilation=dilation)
    return Drawn(layer.double(), torch.Size((inputs, *[size] * dimensions)))


@st.composite
def linears(draw: st.DrawFn) -> Drawn:
    """Draw a Linear layer, for inputs with one or two axes."""
    inputs, outputs, before = draw(st.integers(1, 6)), draw(st.integers(1, 6)), draw(st.sampled_from([(), (3,)]))
    torch.manual_seed(draw(st.integers(0, 1000)))
    return Drawn(nn.Linear(inputs, outputs).double(), torch.Size((*before, inputs)))
