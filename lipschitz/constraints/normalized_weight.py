"""A weight divided by its σ inside the graph, σ by vectors in buffers, with the gradient in closed form."""

from typing import Any

import torch
from torch import Tensor, nn

from lipschitz.constraints.convolution_operator import Convolution
from lipschitz.constraints.power_iteration import Operator, leading_vectors, matrix_operator
from lipschitz.estimation.layers import as_matrix


class NormalizedWeight(nn.Module):
    """W -> c W / (uᵀ W v), with u ``(d_out,)`` and v ``(d_in k k,)`` in buffers that only power iteration writes."""

    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor, transposed: bool, coefficient: float) -> None:
        super().__init__()
        self.transposed, self.coefficient = transposed, coefficient
        u, v = leading_vectors(as_matrix(weight, transposed))
        self.register_buffer("u", u)
        self.register_buffer("v", v)

    def operator(self, weight: Tensor) -> Operator:
        """Return what u and v are to be singular vectors of."""
        return matrix_operator(as_matrix(weight, self.transposed))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the normalised kernel, in the shape of ``weight``."""
        u = self.u if self.coefficient == 1 else self.u / self.coefficient
        matrix = as_matrix(weight, self.transposed)
        normalized = divided_by_sigma(matrix, u, self.v)
        if self.transposed:
            normalized = normalized.view(weight.shape[1], weight.shape[0], *weight.shape[2:]).transpose(0, 1)
        return normalized.view(weight.shape)


class NormalizedConvolution(nn.Module):
    """W -> c W / <u, A_W v>, A_W the convolution, with u and v, maps of its output and input, in buffers.

    As A_W is linear in W, <u, A_W v> is <K, W> with a K that is a function of u and v alone. K is kept beside them, so
    that neither the forward nor the backward pass makes another convolution.
    """

    u: Tensor
    v: Tensor
    gradient: Tensor
    """K, in the shape of W: the gradient of σ."""

    def __init__(self, weight: Tensor, convolution: Convolution, shape: torch.Size, coefficient: float) -> None:
        super().__init__()
        self.convolution, self.coefficient = convolution, coefficient
        weight = weight.detach()
        u, v = convolution.leading_maps(weight, shape)
        self.register_buffer("u", u)
        self.register_buffer("v", v)
        self.register_buffer("gradient", convolution.gradient(u, v, weight.shape))

    def operator(self, weight: Tensor) -> Operator:
        """Return what u and v are to be singular vectors of."""
        return self.convolution.operator(weight, self.v.shape)

    def follow(self) -> None:
        """Bring K up to u and v, in place."""
        self.gradient.copy_(self.convolution.gradient(self.u, self.v, self.gradient.shape))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the normalised kernel, in the shape of ``weight``."""
        # <K, W> is uᵀ W v for W as a single row, u = 1 and v = K.
        row, one = weight.reshape(1, -1), self.gradient.new_full((1,), 1 / self.coefficient)
        return divided_by_sigma(row, one, self.gradient.flatten()).view(weight.shape)


def divided_by_sigma(matrix: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Return ``matrix / (u @ matrix @ v)``, see `DivideBySigma`; shapes ``(m, n)``, ``(m,)``, ``(n,)``."""
    normalized: Tensor = DivideBySigma.apply(matrix, u, v)[0]  # type: ignore[no-untyped-call]
    return normalized


class DivideBySigma(torch.autograd.Function):
    """W -> W / σ and σ = uᵀ W v, u and v constant; the backward pass in closed form, itself differentiable.

    With W̄ = W/σ and G the gradient by W̄, the gradient by W is (G - <G, W̄> u vᵀ) / σ (arXiv:1802.05957, eq. 9-12).
    One node and one rank-one update instead of the graph of a product, a dot product and a division. σ is an output so
    that a double backward sees, through what is saved, how it depends on W.
    """

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``matrix / sigma`` and ``sigma = u @ matrix @ v``; shapes ``(m, n)``, ``(m,)``, ``(n,)``."""
        sigma = torch.dot(u, torch.mv(matrix, v))
        normalized = matrix / sigma
        ctx.save_for_backward(normalized, sigma, u, v)
        return normalized, sigma

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient by ``matrix``, given those by both outputs."""
        grad, grad_sigma = grads
        normalized, sigma, u, v = ctx.saved_tensors
        along = torch.dot(grad.flatten(), normalized.flatten())
        by_sigma = torch.addcdiv(grad_sigma, along, sigma, value=-1)
        # In place: a further buffer of the weight's size costs more than the arithmetic on it.
        return torch.div(grad, sigma).addr_(u * by_sigma, v), None, None
