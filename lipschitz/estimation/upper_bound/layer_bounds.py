"""Certified upper bounds of the operator norms of a network's layers, each at its true input size."""

import copy
import math
from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F

from lipschitz.estimation.layers import WEIGHTED, WeightedLayer, weighted_layers
from lipschitz.estimation.sigma.operators import linear_part
from lipschitz.estimation.upper_bound.gram_iteration import operator_bound, spectral_norm_bound
from lipschitz.estimation.upper_bound.pooling_and_reshaping import nonnegative_norm
from lipschitz.estimation.upper_bound.traced_call import LipschitzConstant

MAX_DENSE_ENTRIES = 2**20
"""Largest number of entries of an operator's dense matrix that is computed."""


@torch.no_grad()
def layer_bounds(net: nn.Module, shapes: Mapping[str, torch.Size]) -> dict[str, LipschitzConstant]:
    """Return by name an upper bound of the operator norm of each layer in ``shapes``; infinity has a reason.

    ``shapes`` is the result of `lipschitz.estimation.layers.input_shapes`. Pass a float64 network.
    """
    return {name: _bound(layer, shapes[name]) for name, layer in weighted_layers(net) if name in shapes}


def _bound(layer: WeightedLayer, shape: torch.Size) -> LipschitzConstant:
    if not has_torch_forward(layer):
        declared = getattr(layer, "lipschitz_constant", None)
        if declared is not None:
            return LipschitzConstant(float(declared))
        return LipschitzConstant(math.inf, "has its own forward method, so its weight alone does not give a bound")
    if isinstance(layer, nn.Linear):
        return LipschitzConstant(float(operator_bound(layer, shape)))
    bound = operator_bound(layer, shape) if layer.padding_mode == "zeros" else _padded_bound(layer, shape)
    return LipschitzConstant(min(float(bound), _dense_bound(layer, shape)))


def has_torch_forward(layer: nn.Module) -> bool:
    """Say whether the weighted layer runs torch's forward method: neither its class nor the instance replaced it."""
    kind = next(kind for kind in WEIGHTED if isinstance(layer, kind))
    methods = ("forward", "_conv_forward") if hasattr(kind, "_conv_forward") else ("forward",)
    return all(getattr(type(layer), name) is getattr(kind, name) and name not in vars(layer) for name in methods)


def _dense_bound(layer: WeightedLayer, shape: torch.Size) -> float:
    """Bound the operator by its dense matrix if that is small, else infinity: on small maps the circle is loose."""
    forward = linear_part(layer)
    inputs, outputs = shape.numel(), forward(layer.weight.new_zeros((1, *shape))).numel()
    if inputs**2 > MAX_DENSE_ENTRIES or inputs * outputs > MAX_DENSE_ENTRIES:
        return math.inf
    identity = torch.eye(inputs, dtype=layer.weight.dtype, device=layer.weight.device)
    return float(spectral_norm_bound(forward(identity.view(inputs, *shape)).flatten(1), None))


def _padded_bound(layer: nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d, shape: torch.Size) -> float:
    """Bound circular, reflect or replicate padding, times a bound of the convolution of the padded input."""
    like = layer.weight.new_zeros((1, *shape))
    sides, mode = layer._reversed_padding_repeated_twice, layer.padding_mode
    unpadded = copy.copy(layer)
    unpadded.padding, unpadded.padding_mode = (0,) * len(layer.kernel_size), "zeros"
    padded = F.pad(like, sides, mode).shape[1:]
    return nonnegative_norm(lambda x: F.pad(x, sides, mode), like) * float(operator_bound(unpadded, padded))
