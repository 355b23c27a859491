"""Projection of Gouk et al.: every layer is brought back to λ as an operator after each update."""

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from lipschitz.constraints.base import Constraint
from lipschitz.constraints.batch_norm_scale import batch_norms, diagonal_sigma, refuse_unscalable
from lipschitz.constraints.convolution_operator import convolution_of, maps_shape
from lipschitz.constraints.power_iteration import Operator, advance, leading_vectors, matrix_operator
from lipschitz.estimation.layers import WeightedLayer, input_shapes, raw_weight, weighted_layers


class GoukProjection(Constraint):
    """Scale every layer back to ‖W‖ <= λ after each update, ‖W‖ being σ of the operator that it truly applies.

    W <- W / max(1, ‖W‖₂ / λ) by power iteration on the convolution and its adjoint, at its true input size, stride and
    padding (Gouk et al. 2018, p = 2). The vectors are kept from update to update instead of being drawn anew. Power
    iteration is never above the true σ: a layer may be left outside its ball by as much. Of a reparametrised layer it
    is the trained weight that is scaled.
    """

    source = "Gouk et al. 2018, arXiv:1804.04368, Algorithm 2"
    promise = "heuristic"

    lambda_conv: PositiveFloat = 1.0
    """λ of convolutions. The paper chooses its λ by validation, a number for each task; 1 forbids any expansion."""
    lambda_dense: PositiveFloat = 1.0
    """λ of Linear layers."""
    lambda_bn: PositiveFloat | None = 1.0
    """λ of batch normalisation, whose γ is scaled as the diagonal γ / √(running variance + ε); null leaves it alone."""
    power_iterations: PositiveInt = 2
    """Steps of power iteration after each update; as many as the authors' code makes."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Register the singular vectors of each layer's operator as buffers ``gouk_u`` and ``gouk_v``.

        Raises:
            Refusal: the operator of a convolution is not known: it is not used, or pads otherwise than by zeros.
        """
        shapes = input_shapes(net, shape)
        for name, layer in weighted_layers(net):
            weight = raw_weight(layer).detach()
            if isinstance(layer, nn.Linear):
                u, v = leading_vectors(weight)
            else:
                maps = maps_shape(self.name(), name, shapes)
                u, v = convolution_of(self.name(), name, layer).leading_maps(weight, maps)
            layer.register_buffer("gouk_u", u)
            layer.register_buffer("gouk_v", v)
        return net

    def check(self, net: nn.Module) -> None:
        """Refuse batch normalisation that cannot be scaled, unless it is left alone."""
        if self.lambda_bn is not None:
            refuse_unscalable(self.name(), net)

    @torch.no_grad()
    def project(self, net: nn.Module) -> None:
        """Advance the singular vectors and scale, in place; a weight inside its ball stays as it is, bit for bit."""
        named = list(weighted_layers(net))
        weights = [raw_weight(layer).detach() for _, layer in named]
        bounds = [self.lambda_dense if isinstance(layer, nn.Linear) else self.lambda_conv for _, layer in named]
        operators = [self._operator(*pair, weight) for pair, weight in zip(named, weights, strict=True)]
        us, vs = ([layer.get_buffer(f"gouk_{side}") for _, layer in named] for side in "uv")
        sigmas = advance(operators, us, vs, self.power_iterations)
        if self.lambda_bn is not None:
            for _, norm in batch_norms(net):
                weights.append(norm.weight.detach())
                sigmas.append(diagonal_sigma(norm))
                bounds.append(self.lambda_bn)
        torch._foreach_div_(sigmas, bounds)
        torch._foreach_clamp_min_(sigmas, 1.0)
        torch._foreach_div_(weights, sigmas)

    def _operator(self, name: str, layer: WeightedLayer, weight: Tensor) -> Operator:
        if isinstance(layer, nn.Linear):
            return matrix_operator(weight)
        return convolution_of(self.name(), name, layer).operator(weight, layer.get_buffer("gouk_v").shape)
