"""Spectral projection: every weight is divided by its spectral norm σ, or clipped to it, after each update."""

from typing import Literal

import torch
from torch import nn

from lipschitz.config import Bound, Iterations
from lipschitz.constraints.base import Constraint
from lipschitz.constraints.batch_norm_scale import batch_norm_sigma, batch_norms, refuse_batch_norm_without_scale
from lipschitz.constraints.power_iteration import advance, infinite_where_zero, leading_vectors, matrix_operator
from lipschitz.constraints.tied_weights import divide_each_once
from lipschitz.estimation.layers import as_matrix, is_transposed, raw_weight, weighted_layers


class SpectralProjection(Constraint):
    """Divide every weight by the spectral norm σ of its reshaped kernel after each update.

    ``normalise``: W <- c W / σ, like a Keras ``kernel_constraint``. ``clip``: W <- W / max(1, σ / c), the projection of
    Gouk et al. 2018, which does not change a weight with σ <= c.

    Comparison with spectral normalization: there the division is inside the autograd graph. The network is a function
    of W / σ(W), the gradient is orthogonal to W, and W may grow, which makes later steps smaller relative to W. Here
    the division is outside the graph. The network is a function of W, and the gradient does not contain σ. The step's
    component along W is undone by the projection, but the optimiser's moments still contain it. The first update uses
    the initial weights.

    σ is computed by power iteration with singular vectors that are kept between updates. It underestimates the true σ
    until it has converged, so the spectral norm may stay above c by that error. If the layer is reparametrised, the raw
    (trained) weight is divided. A weight that layers share is divided once, and one that is zero stays zero.
    """

    source = "Gouk et al. 2018, arXiv:1804.04368, Sec. 4, with σ of Miyato et al. 2018, arXiv:1802.05957"
    promise = "heuristic"

    mode: Literal["normalise", "clip"] = "normalise"
    """``normalise``: set every σ to c; ``clip``: only those above c."""
    c: Bound = 1.0
    """The spectral norm after each update, or its upper bound with ``clip``."""
    power_iterations: Iterations = 1
    """Steps of power iteration after each update."""
    norm_layers: bool = False
    """Whether to project batch normalization too, by dividing γ; its σ is max |γ / √(running variance + ε)|."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Register the singular vectors of each layer as buffers ``projection_u`` and ``projection_v``."""
        for _, layer in weighted_layers(net):
            u, v = leading_vectors(as_matrix(raw_weight(layer), is_transposed(layer)))
            layer.register_buffer("projection_u", u)
            layer.register_buffer("projection_v", v)
        return net

    def check(self, net: nn.Module) -> None:
        """Raise Refusal if γ of a batch normalization is to be divided but cannot be."""
        if self.norm_layers:
            refuse_batch_norm_without_scale(self.name(), net)

    @torch.no_grad()
    def project(self, net: nn.Module) -> None:
        """Advance the power iteration and divide, in place."""
        layers = [layer for _, layer in weighted_layers(net)]
        weights = [raw_weight(layer) for layer in layers]
        operators = [
            matrix_operator(as_matrix(weight.detach(), is_transposed(layer)))
            for layer, weight in zip(layers, weights, strict=True)
        ]
        us, vs = ([layer.get_buffer(f"projection_{side}") for layer in layers] for side in "uv")
        sigmas = advance(operators, us, vs, self.power_iterations)
        if self.norm_layers:
            norms = [norm for _, norm in batch_norms(net)]
            weights += [norm.weight for norm in norms]
            sigmas += [batch_norm_sigma(norm) for norm in norms]
        excess = infinite_where_zero(torch.stack(sigmas) / self.c)
        if self.mode == "clip":
            excess.clamp_(min=1)
        divide_each_once(weights, excess.unbind())
