"""Spectral projection: every weight is divided by its σ after each update, outside the graph."""

from typing import Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import nn

from lipschitz.constraints.base import Constraint
from lipschitz.constraints.batch_norm_scale import batch_norms, diagonal_sigma, refuse_unscalable
from lipschitz.constraints.power_iteration import advance, leading_vectors, matrix_operator
from lipschitz.estimation.layers import as_matrix, is_transposed, raw_weight, weighted_layers


class SpectralProjection(Constraint):
    """Divide every trained weight by its σ, that of the reshaped kernel, after each update.

    ``normalise``: W <- c W / σ, what a Keras ``kernel_constraint`` does; ``clip``: W <- W / max(1, σ / c), the
    projection of Gouk et al. 2018, which leaves a weight inside the ball as it is.

    Spectral normalization divides inside the graph: the network is a function of W / σ(W), its gradient by W has no
    part that a change of scale would undo, and W itself may grow, which makes later steps turn it less. Here the
    division is outside: the network is a function of W, the gradient knows nothing of σ, and what it adds along W is
    taken away afterwards, though an optimiser's moments have counted it. The first update sees the initial weights.

    σ comes from power iteration, which keeps its vectors from update to update. It is never above the true σ, and
    below it while W moves: a weight is then left outside the set by as much, and is inside it to rounding once the
    vectors have converged. Of a reparametrised layer it is the trained weight that is divided.
    """

    source = "Gouk et al. 2018, arXiv:1804.04368, Sec. 4, with σ of Miyato et al. 2018, arXiv:1802.05957"
    promise = "heuristic"

    mode: Literal["normalise", "clip"] = "normalise"
    """Set every σ to c, or only those above it."""
    c: PositiveFloat = 1.0
    """σ that a weight has, or has at most, after each update."""
    power_iterations: PositiveInt = 1
    """Steps of power iteration after each update."""
    norm_layers: bool = False
    """Divide γ of batch normalisation too: in eval mode it is the operator diag(γ / √(running variance + ε))."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Register the singular vectors of each layer as buffers ``projection_u`` and ``projection_v``."""
        for _, layer in weighted_layers(net):
            u, v = leading_vectors(as_matrix(raw_weight(layer), is_transposed(layer)))
            layer.register_buffer("projection_u", u)
            layer.register_buffer("projection_v", v)
        return net

    def check(self, net: nn.Module) -> None:
        """Refuse batch normalisation without a trained γ or running statistics, where γ is to be divided."""
        if self.norm_layers:
            refuse_unscalable(self.name(), net)

    @torch.no_grad()
    def project(self, net: nn.Module) -> None:
        """Advance the singular vectors and divide, in place."""
        layers = [layer for _, layer in weighted_layers(net)]
        weights = [raw_weight(layer).detach() for layer in layers]
        operators = [
            matrix_operator(as_matrix(weight, is_transposed(layer)))
            for layer, weight in zip(layers, weights, strict=True)
        ]
        us, vs = ([layer.get_buffer(f"projection_{side}") for layer in layers] for side in "uv")
        sigmas = advance(operators, us, vs, self.power_iterations)
        if self.norm_layers:
            norms = [norm for _, norm in batch_norms(net)]
            weights += [norm.weight.detach() for norm in norms]
            sigmas += [diagonal_sigma(norm) for norm in norms]
        excess = torch.stack(sigmas) / self.c
        if self.mode == "clip":
            excess.clamp_(min=1)
        torch._foreach_div_(weights, excess.unbind())
