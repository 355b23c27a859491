"""Reparametrisations W / σ(W) for spectral normalization, with σ = uᵀWv and a closed-form gradient."""

from typing import Any

import torch
from torch import Tensor, nn

from lipschitz.constraints.convolution_operator import Convolution
from lipschitz.constraints.power_iteration import Operator, leading_vectors, matrix_operator
from lipschitz.estimation.layers import WeightedLayer, as_matrix, raw_weight, reparametrizations


class NormalizedWeight(nn.Module):
    """Reparametrisation W -> c W / (uᵀ W v), with W the reshaped kernel.

    The buffers u ``(d_out,)`` and v ``(d_in k k,)`` are changed by power iteration only.
    """

    u: Tensor
    v: Tensor
    stored: Tensor | None = None
    """σ of the weight, a scalar, within `StoredSigmas.used`; else it is computed in the forward pass."""

    def __init__(self, weight: Tensor, transposed: bool, coefficient: float) -> None:
        super().__init__()
        self.transposed, self.coefficient = transposed, coefficient
        u, v = leading_vectors(as_matrix(weight, transposed))
        self.register_buffer("u", u)
        self.register_buffer("v", v)

    def operator(self, weight: Tensor) -> Operator:
        """Return the reshaped kernel as an operator, of which u and v approximate the singular vectors."""
        return matrix_operator(as_matrix(weight, self.transposed))

    def factors(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return A ``(m, n)``, x ``(m,)`` and y ``(n,)``, of which `sigma_of` is σ / c: the kernel, u / c and v."""
        u = self.u if self.coefficient == 1 else self.u / self.coefficient
        return as_matrix(weight, self.transposed), u, self.v

    def forward(self, weight: Tensor) -> Tensor:
        """Return the normalised kernel, in the shape of ``weight``."""
        normalized = divide_by_sigma(*self.factors(weight), self.stored)
        if self.transposed:
            normalized = normalized.view(weight.shape[1], weight.shape[0], *weight.shape[2:]).transpose(0, 1)
        return normalized.view(weight.shape)


class NormalizedConvolution(nn.Module):
    """Reparametrisation W -> c W / <u, A_W v>, with A_W the convolution at its true input size.

    The buffers u and v are maps, in the shapes of A_W's output and input. As A_W is linear in W, <u, A_W v> = <K, W>
    with a K that depends on u and v only. K is stored in a buffer too, so that neither the forward nor the backward
    pass computes another convolution.
    """

    u: Tensor
    v: Tensor
    gradient: Tensor
    """K, the gradient of <u, A_W v> with respect to W, in the shape of W."""
    stored: Tensor | None = None
    """As of `NormalizedWeight`."""

    def __init__(self, weight: Tensor, convolution: Convolution, shape: torch.Size, coefficient: float) -> None:
        super().__init__()
        self.convolution, self.coefficient = convolution, coefficient
        weight = weight.detach()
        u, v = convolution.leading_singular_maps(weight, shape)
        self.register_buffer("u", u)
        self.register_buffer("v", v)
        self.register_buffer("gradient", convolution.gradient(u, v, weight.shape))

    def operator(self, weight: Tensor) -> Operator:
        """Return A_W as an operator, of which u and v approximate the singular vectors."""
        return self.convolution.operator(weight, self.v.shape)

    def update_gradient(self) -> None:
        """Recompute K from u and v, in place."""
        self.gradient.copy_(self.convolution.gradient(self.u, self.v, self.gradient.shape))

    def factors(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return W as a single row, 1 / c and K, of which `sigma_of` is <K, W> / c."""
        one = self.gradient.new_full((1,), 1 / self.coefficient)
        return weight.reshape(1, -1), one, self.gradient.flatten()

    def forward(self, weight: Tensor) -> Tensor:
        """Return the normalised kernel, in the shape of ``weight``."""
        return divide_by_sigma(*self.factors(weight), self.stored).view(weight.shape)


Normalized = NormalizedWeight | NormalizedConvolution


def find_normalization(layer: WeightedLayer) -> tuple[Normalized, Tensor] | None:
    """Return the normalization among the layer's reparametrisations and the weight that it receives, None if absent."""
    weight = raw_weight(layer).detach()
    for module in reparametrizations(layer):
        if isinstance(module, Normalized):
            return module, weight
        weight = module(weight)
    return None


def sigma_of(matrix: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Return ``u @ matrix @ v``, a scalar; shapes ``(m, n)``, ``(m,)``, ``(n,)``."""
    return torch.dot(u, torch.mv(matrix, v))


def make_infinite_where_zero(sigma: Tensor) -> Tensor:
    """Replace zeros by infinity, in place, and return the tensor; unlike a norm, σ may be negative."""
    return sigma.masked_fill_(sigma == 0, torch.inf)


def divide_by_sigma(matrix: Tensor, u: Tensor, v: Tensor, stored: Tensor | None = None) -> Tensor:
    """Return ``matrix / (u @ matrix @ v)`` by `DivideBySigma`; shapes ``(m, n)``, ``(m,)``, ``(n,)``."""
    normalized: Tensor = DivideBySigma.apply(matrix, u, v, stored)[0]  # type: ignore[no-untyped-call]
    return normalized


class DivideBySigma(torch.autograd.Function):
    """Autograd function W -> (W / σ, σ) with σ = uᵀ W v for constant u and v; it can be differentiated twice.

    With W̄ = W/σ and G the gradient with respect to W̄, the gradient with respect to W is (G - <G, W̄> u vᵀ) / σ
    (arXiv:1802.05957, eq. 9-12). This is one graph node and one rank-one update; plain autograd would record two
    products and a division. σ is an output because backward uses it: a double backward differentiates saved tensors
    with respect to W only if they are inputs or outputs. Where uᵀ W v is zero, as for a zero weight, σ is infinite, and
    W/σ and all gradients are zero, see `infinite_where_zero`.

    A ``stored`` σ must have been computed from the same W, u and v. It saves the two products, and changes no gradient.
    """

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, u: Tensor, v: Tensor, stored: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return ``matrix / sigma`` and ``sigma = u @ matrix @ v``; shapes ``(m, n)``, ``(m,)``, ``(n,)``."""
        # Gradients that do not exist stay None, where torch would fill a tensor with zeros.
        ctx.set_materialize_grads(False)
        # Another tensor with the same memory: an input that is returned as it is would not be saved as an output.
        sigma = make_infinite_where_zero(sigma_of(matrix, u, v)) if stored is None else stored.view(())
        normalized = matrix / sigma
        ctx.save_for_backward(normalized, sigma, u, v)
        return normalized, sigma

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, grad_sigma: Tensor | None) -> tuple[Tensor, None, None, None]:
        """Return the gradient with respect to ``matrix``, given those with respect to both outputs; None means zero."""
        normalized, sigma, u, v = ctx.saved_tensors
        if grad is None:
            grad = torch.zeros_like(normalized)
        if grad_sigma is None and not grad.is_cpu:
            return gradient_in_few_launches(grad, normalized, sigma, u, v), None, None, None
        along = torch.dot(grad.flatten(), normalized.flatten())
        by_sigma = -along / sigma if grad_sigma is None else torch.addcdiv(grad_sigma, along, sigma, value=-1)
        # In place, because allocating another tensor of the weight's size costs more than the arithmetic.
        return torch.div(grad, sigma).addr_(u * by_sigma, v), None, None, None


def gradient_in_few_launches(grad: Tensor, normalized: Tensor, sigma: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Return (G - <G, W̄> u vᵀ) / σ, the gradient of `DivideBySigma`, in one launch less on a GPU.

    It differs by rounding from the order of operations on the CPU, whose results are kept bit for bit.
    """
    along = torch.dot(grad.flatten(), normalized.flatten())
    return torch.addr(grad, u * along, v, alpha=-1).div_(sigma)
