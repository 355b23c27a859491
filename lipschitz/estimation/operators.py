"""A layer as the linear operator that it applies to inputs of its true size: bias left out, stride and padding kept."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipschitz.estimation.lanczos import LinearMap
from lipschitz.estimation.layers import WeightedLayer


def linear_part(layer: WeightedLayer) -> Callable[[Tensor], Tensor]:
    """Return x -> W x for the layer's effective weight, in that weight's dtype; padding is with zeros.

    Raises:
        ValueError: a padding mode other than zeros, whose operator this is not.
    """
    weight = layer.weight.detach()
    if isinstance(layer, nn.Linear):
        return lambda x: F.linear(x, weight)
    if layer.padding_mode != "zeros":
        raise ValueError(f"padding mode '{layer.padding_mode}' is not measured; allowed: zeros")
    stride, padding, dilation, groups = layer.stride, layer.padding, layer.dilation, layer.groups
    # torch's stubs type a module's padding more widely than the functions take it.
    options: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    if isinstance(layer, nn.ConvTranspose2d):
        output_padding = layer.output_padding
        return lambda x: F.conv_transpose2d(x, weight, output_padding=output_padding, **options)
    convolve = F.conv1d if isinstance(layer, nn.Conv1d) else F.conv2d
    return lambda x: convolve(x, weight, **options)


def adjoint(forward: LinearMap, like: Tensor) -> LinearMap:
    """Return y -> Aᵀ y for the linear map ``forward`` on inputs shaped like ``like``.

    Reverse-mode differentiation of a linear map is its adjoint, whatever the stride, padding or groups.
    """

    def pull_back(y: Tensor) -> Tensor:
        with torch.enable_grad():
            x = torch.zeros_like(like, requires_grad=True)
            (grad,) = torch.autograd.grad(forward(x), x, y)
        return grad

    return pull_back
