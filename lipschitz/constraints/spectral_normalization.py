"""Spectral normalization: every weight is divided by its σ in the forward pass."""

from typing import Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipschitz.constraints.base import Constraint
from lipschitz.constraints.convolution_operator import convolution_of, maps_shape
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
    """Replace every weight by W / σ(W), σ by power iteration on the reshaped kernel or the true convolution.

    Miyato et al. 2018, Algorithm 1: before each discriminator update the kept u takes a step of power iteration; from
    then on σ = uᵀ W v is a function of the current W alone, in every mode, with the gradient of eq. 12. A generator
    step, a penalty, an evaluation or a measurement never moves u.
    """

    source = "Miyato et al. 2018, arXiv:1802.05957, Algorithm 1"
    promise = "heuristic"

    operator: Literal["reshaped", "convolution"] = "reshaped"
    """Whose σ: that of the kernel as a matrix, or of the convolution at its true input size, stride and padding."""
    coefficient: PositiveFloat = 1.0
    """c, the σ that each weight is given: W is replaced by c W / σ(W)."""
    power_iterations: PositiveInt = 1
    """Steps of power iteration before each discriminator update."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Reparametrise the weight of each layer.

        Raises:
            Refusal: ``operator`` is convolution and that of a layer is not known: it is not used, or pads otherwise
                than by zeros.
        """
        shapes = input_shapes(net, shape) if self.operator == "convolution" else {}
        for name, layer in list(weighted_layers(net)):
            module: Normalized
            if self.operator == "reshaped" or isinstance(layer, nn.Linear):
                module = NormalizedWeight(layer.weight, is_transposed(layer), self.coefficient)
            else:
                maps, convolution = maps_shape(self.name(), name, shapes), convolution_of(self.name(), name, layer)
                module = NormalizedConvolution(layer.weight, convolution, maps, self.coefficient)
            parametrize.register_parametrization(layer, "weight", module)
        return net

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """Advance the singular vectors of all layers, each from its weight as it reaches the normalization."""
        layers = (_normalization(layer) for _, layer in weighted_layers(net))
        found = [one for one in layers if one is not None]
        operators = [module.operator(weight) for module, weight in found]
        advance(operators, [module.u for module, _ in found], [module.v for module, _ in found], self.power_iterations)
        for module, _ in found:
            if isinstance(module, NormalizedConvolution):
                module.follow()


def _normalization(layer: WeightedLayer) -> tuple[Normalized, Tensor] | None:
    """Return this method's module in the layer's stack, and the weight as those before it hand it on."""
    weight = raw_weight(layer).detach()
    for module in reparametrizations(layer):
        if isinstance(module, Normalized):
            return module, weight
        weight = module(weight)
    return None
