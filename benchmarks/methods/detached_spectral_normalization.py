"""Spectral normalization whose σ is a constant of the backward pass, as the continuous W1 benchmark computes it."""

from typing import ClassVar, Literal

from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipschitz.constraints.base import Constraint
from lipschitz.constraints.power_iteration import advance, leading_vectors, matrix_operator
from lipschitz.estimation.layers import raw_weight, weighted_layers


class DetachedSpectralNormalization(Constraint):
    """Replace every weight of a perceptron by W / σ(W), without the gradient of σ.

    The gradient by W is then G / σ, where Miyato et al. 2018 (eq. 12) have (G - <G, W̄> u vᵀ) / σ. Without the second
    term W grows with every step, as if the loss could be lowered by its length, and W̄ moves less and less.
    """

    source: ClassVar[str] = "Korotin et al. 2022, arXiv:2206.07767, its published code"
    promise: ClassVar[Literal["certified", "heuristic", "none"]] = "heuristic"

    power_iterations: PositiveInt = 1
    """Steps of power iteration before each update."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Reparametrise the weight of each Linear layer."""
        for _, layer in list(weighted_layers(net)):
            parametrize.register_parametrization(layer, "weight", _Detached(layer.weight))
        return net

    def update(self, net: nn.Module) -> None:
        """Advance the singular vectors of all layers."""
        layers = [layer for _, layer in weighted_layers(net)]
        modules = [layer.parametrizations["weight"][0] for layer in layers]
        operators = [matrix_operator(raw_weight(layer).detach()) for layer in layers]
        advance(operators, [one.u for one in modules], [one.v for one in modules], self.power_iterations)


class _Detached(nn.Module):
    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        u, v = leading_vectors(weight.detach())
        self.register_buffer("u", u)
        self.register_buffer("v", v)

    def forward(self, weight: Tensor) -> Tensor:
        return weight / (self.u @ weight.detach() @ self.v)
