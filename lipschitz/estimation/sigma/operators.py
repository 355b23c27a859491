"""A layer as the linear operator that it applies to inputs of its true size: bias left out, stride and padding kept."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipschitz.estimation.layers import WeightedLayer
from lipschitz.estimation.sigma.lanczos import LinearMap


class Operator(NamedTuple):
    """A linear map, its adjoint, and the shape, dtype and device of what it takes."""

    forward: LinearMap
    adjoint: LinearMap
    like: Tensor


def linear_part(layer: WeightedLayer) -> Callable[[Tensor], Tensor]:
    """Return x -> W x for the layer's effective weight, in that weight's dtype; padding is the layer's own.

    Every padding mode of torch (zeros, circular, reflect, replicate) is linear.
    """
    weight = layer.weight.detach()
    if isinstance(layer, nn.Linear):
        return lambda x: F.linear(x, weight)
    if isinstance(layer, nn.ConvTranspose2d):
        stride, padding, dilation, groups = layer.stride, layer.padding, layer.dilation, layer.groups
        extra = layer.output_padding
        return lambda x: F.conv_transpose2d(x, weight, None, stride, padding, extra, groups, dilation)  # type: ignore[arg-type]
    return lambda x: layer._conv_forward(x, weight, None)


def adjoint(forward: LinearMap, like: Tensor) -> LinearMap:
    """Return y -> Aᵀ y for the linear map ``forward`` on inputs shaped like ``like``.

    Reverse-mode differentiation of a linear map is its adjoint, whatever the stride, padding or groups, and the same at
    every point: the graph of one forward pass serves every y.
    """
    with torch.enable_grad():
        x = torch.zeros_like(like, requires_grad=True)
        image = forward(x)

    def pull_back(y: Tensor) -> Tensor:
        (grad,) = torch.autograd.grad(image, x, y, retain_graph=True)
        return grad

    return pull_back


def operator(layer: WeightedLayer, input_shape: Sequence[int]) -> Operator:
    """Return the layer's operator on one sample ``(c, ...)``, or its adjoint where its output is the smaller side.

    Both have the same singular values; what an iteration keeps is as large as the side that it starts from.
    """
    weight = layer.weight.detach()
    forward = linear_part(layer)
    like = weight.new_zeros((1, *input_shape))
    image = forward(like)
    back = adjoint(forward, like)
    return Operator(back, forward, image) if image.numel() < like.numel() else Operator(forward, back, like)
