"""Spectral normalization: every weight is divided by its σ in the forward pass."""

from typing import Any, ClassVar, Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipschitz.constraints.base import Constraint
from lipschitz.constraints.power_iteration import advance, leading_vectors
from lipschitz.estimation.layers import as_matrix, is_transposed, raw_weight, weighted_layers


class SpectralNormalization(Constraint):
    """Replace every weight by W / σ(W), σ by power iteration on the reshaped kernel.

    Miyato et al. 2018, Algorithm 1: before each discriminator update the kept u takes a step of power iteration; from
    then on σ = uᵀ W v is a function of the current W alone, in every mode, with the gradient of eq. 12. A generator
    step, a penalty, an evaluation or a measurement never moves u.
    """

    source: ClassVar[str] = "Miyato et al. 2018, arXiv:1802.05957, Algorithm 1"
    promise: ClassVar[Literal["certified", "heuristic", "none"]] = "heuristic"

    power_iterations: PositiveInt = 1
    """Steps of power iteration before each discriminator update."""

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Reparametrise the weight of each layer."""
        for _, layer in list(weighted_layers(net)):
            normalized = NormalizedWeight(layer.weight, is_transposed(layer))
            parametrize.register_parametrization(layer, "weight", normalized)
        return net

    def update(self, net: nn.Module) -> None:
        """Advance the singular vectors of each layer from its current raw weight."""
        for _, layer in weighted_layers(net):
            for module in layer.parametrizations["weight"]:  # type: ignore[index]
                if isinstance(module, NormalizedWeight):
                    module.advance(raw_weight(layer), self.power_iterations)


class NormalizedWeight(nn.Module):
    """W -> W / (uᵀ W v), with u ``(d_out,)`` and v ``(d_in k k,)`` in buffers that only `advance` writes."""

    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor, transposed: bool) -> None:
        super().__init__()
        self.transposed = transposed
        u, v = leading_vectors(as_matrix(weight, transposed))
        self.register_buffer("u", u)
        self.register_buffer("v", v)

    def forward(self, weight: Tensor) -> Tensor:
        """Return the normalised kernel, in the shape of ``weight``."""
        matrix = as_matrix(weight, self.transposed)
        normalized: Tensor = DivideBySigma.apply(matrix, self.u, self.v)  # type: ignore[no-untyped-call]
        if self.transposed:
            return normalized.view(weight.shape[1], weight.shape[0], *weight.shape[2:]).transpose(0, 1)
        return normalized.view_as(weight)

    def advance(self, weight: Tensor, iterations: int) -> None:
        """Take steps of power iteration on ``weight``, in place."""
        advance(as_matrix(weight.detach(), self.transposed), self.u, self.v, iterations)


class DivideBySigma(torch.autograd.Function):
    """W -> W / σ with σ = uᵀ W v and u, v constant; the backward pass in closed form, itself differentiable.

    With W̄ = W/σ and G the gradient by W̄, the gradient by W is (G - <G, W̄> u vᵀ) / σ (arXiv:1802.05957, eq. 9-12).
    One node and one rank-one update instead of the graph of a product, a dot product and a division.
    """

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """Return ``matrix / (u @ matrix @ v)``; shapes ``(m, n)``, ``(m,)``, ``(n,)``."""
        ctx.save_for_backward(matrix, u, v)
        return matrix / torch.dot(u, torch.mv(matrix, v))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient by ``matrix``; σ is recomputed so that a double backward sees its dependence on W."""
        (grad,) = grads
        matrix, u, v = ctx.saved_tensors
        sigma = torch.dot(u, torch.mv(matrix, v))
        along = torch.dot(grad.flatten(), matrix.flatten()) / sigma
        return torch.addr(grad, u * -along, v) / sigma, None, None
