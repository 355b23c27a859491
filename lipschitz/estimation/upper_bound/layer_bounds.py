"""Certified upper bounds of the layers of a network, each at the size that the network gives it."""

import copy
import math
from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F

from lipschitz.estimation.layers import WEIGHTED, WeightedLayer, weighted_layers
from lipschitz.estimation.sigma.operators import linear_part
from lipschitz.estimation.upper_bound.gram_iteration import gram_norm, operator_bound
from lipschitz.estimation.upper_bound.pooling_and_reshaping import nonnegative_norm
from lipschitz.estimation.upper_bound.traced_call import Factor

DENSE = 2**20
"""Largest number of entries of an operator's matrix that is written out."""


@torch.no_grad()
def layer_bounds(net: nn.Module, shapes: Mapping[str, torch.Size]) -> dict[str, Factor]:
    """Return an upper bound of the operator norm of each layer of ``shapes``, see `input_shapes`; inf with a reason.

    Pass a float64 network.
    """
    return {name: _bound(layer, shapes[name]) for name, layer in weighted_layers(net) if name in shapes}


def _bound(layer: WeightedLayer, shape: torch.Size) -> Factor:
    if not applies_its_weight(layer):
        declared = getattr(layer, "lipschitz_constant", None)
        why = "has a forward pass of its own, which its weight alone does not describe"
        return Factor(math.inf, why) if declared is None else Factor(float(declared))
    if isinstance(layer, nn.Linear):
        return Factor(float(operator_bound(layer, shape)))
    bound = operator_bound(layer, shape) if layer.padding_mode == "zeros" else _padded_bound(layer, shape)
    return Factor(min(float(bound), _dense_bound(layer, shape)))


def applies_its_weight(layer: nn.Module) -> bool:
    """Say whether the layer's forward pass is torch's own, in an instance and in a subclass."""
    kind = next(kind for kind in WEIGHTED if isinstance(layer, kind))
    passes = ("forward", "_conv_forward") if hasattr(kind, "_conv_forward") else ("forward",)
    return all(getattr(type(layer), name) is getattr(kind, name) and name not in vars(layer) for name in passes)


def _dense_bound(layer: WeightedLayer, shape: torch.Size) -> float:
    """Bound the operator by its own matrix, where that is small: a circle holds more than a small map, and is loose."""
    forward = linear_part(layer)
    inputs, outputs = shape.numel(), forward(layer.weight.new_zeros((1, *shape))).numel()
    if inputs**2 > DENSE or inputs * outputs > DENSE:
        return math.inf
    identity = torch.eye(inputs, dtype=layer.weight.dtype, device=layer.weight.device)
    return float(gram_norm(forward(identity.view(inputs, *shape)).flatten(1), None))


def _padded_bound(layer: nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d, shape: torch.Size) -> float:
    """Bound padding with copies of the input's own values, then the convolution of what that makes."""
    like = layer.weight.new_zeros((1, *shape))
    sides, mode = layer._reversed_padding_repeated_twice, layer.padding_mode
    inner = copy.copy(layer)
    inner.padding, inner.padding_mode = (0,) * len(layer.kernel_size), "zeros"
    padded = F.pad(like, sides, mode).shape[1:]
    return nonnegative_norm(lambda x: F.pad(x, sides, mode), like) * float(operator_bound(inner, padded))
