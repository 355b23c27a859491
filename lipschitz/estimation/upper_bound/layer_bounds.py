"""Certified upper bounds of the operator norms of a network's layers, each at its true input size."""

import math
from collections.abc import Mapping

import torch
from torch import nn

from lipschitz.estimation.layers import AffineLayer, affine_layers, has_torch_forward
from lipschitz.estimation.upper_bound.composition import upper_bound
from lipschitz.estimation.upper_bound.operator_bounds import OperatorBounds
from lipschitz.estimation.upper_bound.polyphase import Kernel, layer_kernel
from lipschitz.estimation.upper_bound.traced_call import LipschitzConstant


class LayerBounds(dict[str, LipschitzConstant]):
    """By name, an upper bound of the operator norm of each layer; infinity has a note with the reason."""

    def __init__(self, flops: float = math.inf) -> None:
        super().__init__()
        self.operators = OperatorBounds(flops)
        """The bounds by weight, for `lipschitz.estimation.upper_bound.composition.upper_bound`."""


@torch.no_grad()
def layer_bounds(
    net: nn.Module,
    shapes: Mapping[str, torch.Size],
    reshaped: Mapping[str, float] | None = None,
    *,
    flops: float = math.inf,
) -> LayerBounds:
    """Return an upper bound of the operator norm of each layer in ``shapes``.

    Args:
        net: in float64.
        shapes: the result of `lipschitz.estimation.layers.input_shapes`.
        reshaped: by layer, σ of its reshaped weight, where it is already known; it is that of a Linear layer.
        flops: floating-point operations that each bound may take; see `OperatorBounds`.
    """
    bounds = LayerBounds(flops)
    layers = {name: layer for name, layer in affine_layers(net) if name in shapes}
    for name, layer in layers.items():
        if isinstance(layer, nn.Linear) and name in (reshaped or {}) and has_torch_forward(layer):
            bounds.operators.add_linear(layer.weight, (reshaped or {})[name])
    bounds.update({name: _bound(layer, shapes[name], bounds.operators) for name, layer in layers.items()})
    return bounds


def _bound(layer: AffineLayer, shape: torch.Size, operators: OperatorBounds) -> LipschitzConstant:
    if not has_torch_forward(layer):
        found = upper_bound(layer, tuple(shape), operators)
        return LipschitzConstant(found.constant, "; ".join(found.reasons) if found.constant == math.inf else "")
    if isinstance(layer, nn.Linear) or layer.padding_mode == "zeros":
        return LipschitzConstant(operators.bound(layer_kernel(layer), shape))
    sides, zeros = tuple(layer._reversed_padding_repeated_twice), (0,) * len(layer.kernel_size)
    kernel = Kernel(layer.weight, layer.stride, zeros, layer.dilation, layer.groups, output_padding=zeros)
    return LipschitzConstant(operators.bound(kernel, shape, (layer.padding_mode, sides)))
