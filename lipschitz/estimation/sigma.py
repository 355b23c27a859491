"""σ of a layer: of the reshaped kernel, and of the operator that the layer truly applies."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lipschitz.estimation.lanczos import largest_singular_value
from lipschitz.estimation.layers import WeightedLayer, input_shapes, reshaped_weight, weighted_layers
from lipschitz.estimation.operators import adjoint, linear_part


class LayerSigma(NamedTuple):
    """What was measured of one layer; both values are for its effective weight, in the weight's units."""

    reshaped: float
    """Largest singular value of the kernel as a ``(d_out, d_in k k)`` matrix (arXiv:1802.05957, Sec. 2.1)."""
    operator: float
    """Largest singular value of the linear operator at its true input size, stride and padding."""


@torch.no_grad()
def spectrum(layer: WeightedLayer) -> Tensor:
    """Return all singular values of the layer's reshaped effective weight, descending, float64."""
    values: Tensor = torch.linalg.svdvals(reshaped_weight(layer).double())
    return values


@torch.no_grad()
def operator_sigma(layer: WeightedLayer, input_shape: torch.Size, *, tolerance: float = 1e-4) -> float:
    """Return σ of the layer's operator on one sample ``(c, ...)``, from below, to the relative ``tolerance``.

    Works in the dtype of the layer's weight: pass a float64 layer for a float64 measurement.
    """
    weight = layer.weight
    if isinstance(layer, nn.Linear):
        # A Linear layer acts on the last axis alone: its operator on all positions has the norm of one.
        return float(torch.linalg.matrix_norm(weight.double(), 2))
    rng = torch.Generator().manual_seed(0)
    start = torch.randn((1, *input_shape), generator=rng, dtype=weight.dtype).to(weight.device)
    forward = linear_part(layer)
    return largest_singular_value(forward, adjoint(forward, start), start, tolerance=tolerance)


@torch.no_grad()
def layer_sigmas(net: nn.Module, example: Tensor, *, tolerance: float = 1e-4) -> dict[str, LayerSigma]:
    """Measure σ of every weighted layer of ``net`` as it stands when ``net`` is given ``example`` ``(n, ...)``.

    No buffer of any method is read: the effective weight alone decides. Pass a float64 network and example.
    """
    shapes = input_shapes(net, tuple(example.shape[1:]))
    return {
        name: LayerSigma(float(spectrum(layer)[0]), operator_sigma(layer, shapes[name], tolerance=tolerance))
        for name, layer in weighted_layers(net)
        if name in shapes
    }
