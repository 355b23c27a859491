"""Spectral norm regularization: a penalty on the squared spectral norm σ of every layer."""

import torch
from torch import Tensor, nn

from lipschitz.config import Factor, Iterations
from lipschitz.constraints.base import Batch, Constraint
from lipschitz.constraints.power_iteration import advance, leading_vectors, matrix_operator
from lipschitz.constraints.tied_weights import distinct_layers
from lipschitz.estimation.layers import reshaped_weight


class SpectralRegularization(Constraint):
    """Penalise the squared spectral norm σ of every layer: add λ/2 Σ σ(W)² to the loss.

    Yoshida & Miyato 2017, eq. 4. σ is computed by power iteration on the reshaped kernel, one step per update, with
    singular vectors that are kept between updates (their Algorithm 1). The gradient is λ σ u vᵀ. A weight that
    layers share counts once.
    """

    source = "Yoshida & Miyato 2017, arXiv:1705.10941, eq. 4, Algorithm 1"
    promise = "heuristic"
    updates_buffers_only = True

    weight: Factor = 0.01
    """λ, the factor of the penalty."""
    power_iterations: Iterations = 1
    """Steps of power iteration before each update."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Register the singular vectors of each layer as buffers ``regularization_u`` and ``regularization_v``."""
        for _, layer in distinct_layers(net):
            u, v = leading_vectors(reshaped_weight(layer))
            layer.register_buffer("regularization_u", u)
            layer.register_buffer("regularization_v", v)
        return net

    def update(self, net: nn.Module) -> None:
        """Advance the power iteration of all layers."""
        layers = [layer for _, layer in distinct_layers(net)]
        operators = [matrix_operator(reshaped_weight(layer).detach()) for layer in layers]
        us, vs = ([layer.get_buffer(f"regularization_{side}") for layer in layers] for side in "uv")
        advance(operators, us, vs, self.power_iterations)

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return λ/2 Σ (uᵀ W v)², with u and v constant."""
        sigmas = [
            torch.dot(
                layer.get_buffer("regularization_u"), reshaped_weight(layer) @ layer.get_buffer("regularization_v")
            )
            for _, layer in distinct_layers(net)
        ]
        return self.weight / 2 * torch.stack(sigmas).square().sum()
