"""Spectral normalization: every weight is divided by its spectral norm σ, from power iteration, in the forward pass."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipschitz.config import Bound, Iterations
from lipschitz.constraints.base import Constraint
from lipschitz.constraints.convolution_operator import convolution_of, input_maps_shape
from lipschitz.constraints.normalized_weight import NormalizedConvolution, NormalizedWeight
from lipschitz.constraints.power_iteration import advance
from lipschitz.estimation.layers import (
    WeightedLayer,
    input_shapes,
    is_transposed,
    raw_weight,
    reparametrizations,
    weighted_layers,
)

Normalized = NormalizedWeight | NormalizedConvolution


class SpectralNormalization(Constraint):
    """Divide every weight by its spectral norm σ(W) in the forward pass, with σ(W) from power iteration.

    Miyato et al. 2018, Algorithm 1. Before each discriminator update, the stored u and v take a step of power
    iteration. Until the next update they are constant and σ = uᵀ W v is a function of the current W, in training and
    eval mode, with the gradient of eq. 12. Generator steps, penalties, evaluations and measurements never change u and
    v. A zero weight stays zero, with a gradient of zero.
    """

    source = "Miyato et al. 2018, arXiv:1802.05957, Algorithm 1"
    promise = "heuristic"
    scale_invariant = True
    start = "normal"
    updates_buffers_only = True

    operator: Literal["reshaped", "convolution"] = "reshaped"
    """``reshaped``: σ of the kernel as a matrix; ``convolution``: σ at the true input size, stride and padding."""
    coefficient: Bound = 1.0
    """c, the spectral norm after normalization: W is replaced by c W / σ(W)."""
    power_iterations: Iterations = 1
    """Steps of power iteration before each discriminator update."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Reparametrise the weight of each layer.

        Raises:
            Refusal: ``operator`` is ``convolution``, and a convolution is not used by the forward pass, has several
                groups, or its padding is not supported.
        """
        shapes = input_shapes(net, shape) if self.operator == "convolution" else {}
        for name, layer in list(weighted_layers(net)):
            module: Normalized
            if self.operator == "reshaped" or isinstance(layer, nn.Linear):
                module = NormalizedWeight(layer.weight, is_transposed(layer), self.coefficient)
            else:
                maps, convolution = (
                    input_maps_shape(self.name(), name, shapes),
                    convolution_of(self.name(), name, layer),
                )
                module = NormalizedConvolution(layer.weight, convolution, maps, self.coefficient)
            parametrize.register_parametrization(layer, "weight", module)
        return net

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """Advance the power iteration of all layers, on the weight that the normalization receives."""
        layers = (_find_normalization(layer) for _, layer in weighted_layers(net))
        found = [one for one in layers if one is not None]
        operators = [module.operator(weight) for module, weight in found]
        advance(operators, [module.u for module, _ in found], [module.v for module, _ in found], self.power_iterations)
        for module, _ in found:
            if isinstance(module, NormalizedConvolution):
                module.update_gradient()


def _find_normalization(layer: WeightedLayer) -> tuple[Normalized, Tensor] | None:
    """Return the normalization among the layer's reparametrisations and the weight that it receives, None if absent."""
    weight = raw_weight(layer).detach()
    for module in reparametrizations(layer):
        if isinstance(module, Normalized):
            return module, weight
        weight = module(weight)
    return None
