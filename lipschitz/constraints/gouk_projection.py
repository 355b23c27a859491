"""Projection of Gouk et al. 2018: the operator norm of every layer is clipped to λ after each update."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from lipschitz.config import Bound, Iterations
from lipschitz.constraints.base import Constraint
from lipschitz.constraints.batch_norm_scale import batch_norm_sigma, batch_norms, refuse_batch_norm_without_scale
from lipschitz.constraints.convolution_operator import convolution_of, input_maps_shape
from lipschitz.constraints.power_iteration import Operator, advance, leading_vectors, matrix_operator
from lipschitz.constraints.tied_weights import divide_each_once
from lipschitz.estimation.layers import WeightedLayer, input_shapes, raw_weight, weighted_layers


class GoukProjection(Constraint):
    """Clip the operator norm of every layer, at its true input size, to λ after each update.

    W <- W / max(1, ‖W‖ₚ / λ) (Gouk et al. 2018). ‖W‖₂ is the largest singular value of the operator, by power
    iteration on the convolution and its adjoint at its true input size, stride and padding. The singular vectors are
    kept between updates; the paper draws them anew. Power iteration underestimates the norm until it has converged, so
    that the norm may stay above λ by that error. For p = 1 and p = ∞ the norm is a sum of absolute values, see
    `absolute_norm`. If the layer is reparametrised, the raw (trained) weight is scaled. A weight that layers share is
    scaled once, by the largest of their factors.
    """

    source = "Gouk et al. 2018, arXiv:1804.04368, Algorithm 2"
    promise = "heuristic"

    p: Literal[1, 2, "inf"] = 2
    """The norm of vectors to which the operator norm belongs: 1, 2, or inf."""
    lambda_conv: Bound = 1.0
    """λ of convolutions. λ = 1 makes the layer 1-Lipschitz. The paper chooses λ by validation for each task."""
    lambda_dense: Bound = 1.0
    """λ of Linear layers."""
    lambda_bn: Bound | None = 1.0
    """λ of batch normalization: γ is scaled so that max |γ / √(running variance + ε)| <= λ; null for no scaling."""
    power_iterations: Iterations = 2
    """Steps of power iteration after each update, for p = 2; 2 as in the authors' code."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Register, for p = 2, the singular vectors of each layer's operator as buffers ``gouk_u`` and ``gouk_v``.

        Raises:
            Refusal: a convolution is not used by the forward pass, has several groups, or its padding is not supported.
        """
        if self.p != 2:
            return net
        shapes = input_shapes(net, shape)
        for name, layer in weighted_layers(net):
            weight = raw_weight(layer).detach()
            if isinstance(layer, nn.Linear):
                u, v = leading_vectors(weight)
            else:
                maps = input_maps_shape(self.name(), name, shapes)
                u, v = convolution_of(self.name(), name, layer).leading_singular_maps(weight, maps)
            layer.register_buffer("gouk_u", u)
            layer.register_buffer("gouk_v", v)
        return net

    def check(self, net: nn.Module) -> None:
        """Raise Refusal if γ of a batch normalization is to be scaled but cannot be."""
        if self.lambda_bn is not None:
            refuse_batch_norm_without_scale(self.name(), net)

    @torch.no_grad()
    def project(self, net: nn.Module) -> None:
        """Advance the power iteration and scale in place; a weight inside its ball stays bit-identical."""
        named = list(weighted_layers(net))
        weights = [raw_weight(layer) for _, layer in named]
        bounds = [self.lambda_dense if isinstance(layer, nn.Linear) else self.lambda_conv for _, layer in named]
        sigmas = self._norms(named, weights)
        if self.lambda_bn is not None:
            for _, norm in batch_norms(net):
                weights.append(norm.weight)
                sigmas.append(batch_norm_sigma(norm))
                bounds.append(self.lambda_bn)
        torch._foreach_div_(sigmas, bounds)
        torch._foreach_clamp_min_(sigmas, 1.0)
        divide_each_once(weights, sigmas)

    def _norms(self, named: Sequence[tuple[str, WeightedLayer]], weights: Sequence[Tensor]) -> list[Tensor]:
        """Return the operator norm of each layer; for p = 2 the power iteration advances."""
        if self.p != 2:
            return [absolute_norm(layer, weight, self.p) for (_, layer), weight in zip(named, weights, strict=True)]
        operators = [self._operator(*pair, weight.detach()) for pair, weight in zip(named, weights, strict=True)]
        us, vs = ([layer.get_buffer(f"gouk_{side}") for _, layer in named] for side in "uv")
        return advance(operators, us, vs, self.power_iterations)

    def _operator(self, name: str, layer: WeightedLayer, weight: Tensor) -> Operator:
        if isinstance(layer, nn.Linear):
            return matrix_operator(weight)
        return convolution_of(self.name(), name, layer).operator(weight, layer.get_buffer("gouk_v").shape)


def absolute_norm(layer: WeightedLayer, weight: Tensor, p: Literal[1, "inf"]) -> Tensor:
    """Return the operator norm of ``layer`` with ``weight`` for p = 1 or ∞, a scalar (Gouk et al. 2018, Sec. 3).

    p = ∞: the largest sum of |W| over all weights of one output unit or channel. p = 1: over those of one input unit or
    channel. This is the norm of a layer whose stride is one and whose maps hold the kernel, and else an upper bound.
    """
    groups = 1 if isinstance(layer, nn.Linear) else layer.groups
    # (groups, outputs, inputs, taps) within a group; a transposed convolution stores inputs first.
    kernels = weight.detach().abs().reshape(groups, len(weight) // groups, weight.shape[1], -1).sum(3)
    outputs = 2 if isinstance(layer, nn.ConvTranspose2d) else 1
    summed = kernels.sum(3 - outputs if p == "inf" else outputs)
    return summed.max()
