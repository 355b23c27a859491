"""Reparametrisations W / σ(W) for spectral normalization, with σ = uᵀWv and a closed-form gradient."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lipschitz.constraints.convolution_operator import Convolution
from lipschitz.constraints.power_iteration import Operator, advance, leading_vectors, matrix_operator
from lipschitz.estimation.layers import WeightedLayer, as_matrix, raw_weight, reparametrizations


class Iterated(NamedTuple):
    """An operator of a layer, and buffers that power iteration moves towards its leading singular vectors."""

    operator: Operator
    u: Tensor
    v: Tensor


class Normalized(nn.Module, ABC):
    """Reparametrisation W -> c W / σ(W), with σ of constant singular vectors, which power iteration moves."""

    u: Tensor
    v: Tensor
    stored: Tensor | None = None
    """σ of the weight, a scalar, within `StoredSigmas.used`; else it is computed in the forward pass."""
    steps_in_forward: int = 0
    """Steps of power iteration at each use of the weight in training."""

    @abstractmethod
    def iterated(self, weight: Tensor) -> list[Iterated]:
        """Return the operators of which σ is computed, with their singular vectors."""

    @abstractmethod
    def factors(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return A ``(m, n)``, x ``(m,)`` and y ``(n,)``, of which `sigma_of` is σ / c."""

    def after_steps(self) -> None:
        """Recompute what depends on the singular vectors."""

    def forward(self, weight: Tensor) -> Tensor:
        """Return the normalised kernel, in the shape of ``weight``."""
        if not (self.steps_in_forward and self.training and torch.is_grad_enabled()):
            return self._divided(weight, *self.factors(weight))
        with torch.no_grad():
            advance_all(self.iterated(weight.detach()), self.steps_in_forward)
            self.after_steps()
        matrix, x, y = self.factors(weight)
        # Copies, because the next forward pass changes the vectors before the backward pass of this one.
        return self._divided(weight, matrix, x.clone(), y.clone())

    def _divided(self, weight: Tensor, matrix: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return divide_by_sigma(matrix, x, y, self.stored).view(weight.shape)


class NormalizedWeight(Normalized):
    """Reparametrisation W -> c W / (uᵀ W v), with W the reshaped kernel.

    The buffers u ``(d_out,)`` and v ``(d_in k k,)`` are changed by power iteration only.
    """

    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor, transposed: bool, coefficient: float) -> None:
        super().__init__()
        self.transposed, self.coefficient = transposed, coefficient
        u, v = leading_vectors(as_matrix(weight, transposed))
        self.register_buffer("u", u)
        self.register_buffer("v", v)

    def iterated(self, weight: Tensor) -> list[Iterated]:
        """Return the reshaped kernel as an operator, with u and v."""
        return [Iterated(matrix_operator(as_matrix(weight, self.transposed)), self.u, self.v)]

    def factors(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return A ``(m, n)``, x ``(m,)`` and y ``(n,)``, of which `sigma_of` is σ / c: the kernel, u / c and v."""
        u = self.u if self.coefficient == 1 else self.u / self.coefficient
        return as_matrix(weight, self.transposed), u, self.v

    def _divided(self, weight: Tensor, matrix: Tensor, x: Tensor, y: Tensor) -> Tensor:
        normalized = divide_by_sigma(matrix, x, y, self.stored)
        if self.transposed:
            normalized = normalized.view(weight.shape[1], weight.shape[0], *weight.shape[2:]).transpose(0, 1)
        return normalized.view(weight.shape)


class NormalizedConvolution(Normalized):
    """Reparametrisation W -> c W / <u, A_W v>, with A_W the convolution at its true input size.

    The buffers u and v are maps, in the shapes of A_W's output and input. As A_W is linear in W, <u, A_W v> = <K, W>
    with a K that depends on u and v only. K is stored in a buffer too, so that neither the forward nor the backward
    pass computes another convolution.
    """

    u: Tensor
    v: Tensor
    gradient: Tensor
    """K, the gradient of <u, A_W v> with respect to W, in the shape of W."""

    def __init__(self, weight: Tensor, convolution: Convolution, shape: torch.Size, coefficient: float) -> None:
        super().__init__()
        self.convolution, self.coefficient = convolution, coefficient
        weight = weight.detach()
        u, v = convolution.leading_singular_maps(weight, shape)
        self.register_buffer("u", u)
        self.register_buffer("v", v)
        self.register_buffer("gradient", convolution.gradient(u, v, weight.shape))

    def iterated(self, weight: Tensor) -> list[Iterated]:
        """Return A_W as an operator, with u and v."""
        return [Iterated(self.convolution.operator(weight, self.v.shape), self.u, self.v)]

    def after_steps(self) -> None:
        """Recompute K from u and v, in place."""
        self.gradient.copy_(self.convolution.gradient(self.u, self.v, self.gradient.shape))

    def factors(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return W as a single row, 1 / c and K, of which `sigma_of` is <K, W> / c."""
        one = self.gradient.new_full((1,), 1 / self.coefficient)
        return weight.reshape(1, -1), one, self.gradient.flatten()


class BidirectionalWeight(Normalized):
    """Reparametrisation W -> c W / σ, with σ the mean of the norms of two reshaped kernels (Lin et al. 2021, BSN).

    One has the output units as rows, as in spectral normalization, the other the input units. For constant singular
    vectors σ = <K, W>, with K in a buffer, as of `NormalizedConvolution`.
    """

    u: Tensor
    v: Tensor
    u_inputs: Tensor
    v_inputs: Tensor
    gradient: Tensor
    """K, the gradient of σ with respect to W, in the shape of W."""

    def __init__(self, weight: Tensor, transposed: bool, coefficient: float) -> None:
        super().__init__()
        self.transposed, self.coefficient = transposed, coefficient
        for side, name in ((transposed, ""), (not transposed, "_inputs")):
            u, v = leading_vectors(as_matrix(weight.detach(), side))
            self.register_buffer(f"u{name}", u)
            self.register_buffer(f"v{name}", v)
        self.register_buffer("gradient", torch.empty_like(weight.detach()))
        self.after_steps()

    def iterated(self, weight: Tensor) -> list[Iterated]:
        """Return both reshaped kernels as operators, with their singular vectors."""
        by_outputs, by_inputs = (as_matrix(weight, side) for side in (self.transposed, not self.transposed))
        return [
            Iterated(matrix_operator(by_outputs), self.u, self.v),
            Iterated(matrix_operator(by_inputs), self.u_inputs, self.v_inputs),
        ]

    def after_steps(self) -> None:
        """Recompute K from the singular vectors, in place."""
        straight, swapped = torch.outer(self.u, self.v), torch.outer(self.u_inputs, self.v_inputs)
        first, second = (swapped, straight) if self.transposed else (straight, swapped)
        shape = self.gradient.shape
        other = second.view(shape[1], shape[0], *shape[2:]).transpose(0, 1)
        torch.add(first.view(shape), other, out=self.gradient).mul_(0.5)

    def factors(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return W as a single row, 1 / c and K, of which `sigma_of` is σ / c."""
        one = self.gradient.new_full((1,), 1 / self.coefficient)
        return weight.reshape(1, -1), one, self.gradient.flatten()


class ScaledWeight(nn.Module):
    """Reparametrisation W -> γ W with one trained γ, which starts at one."""

    def __init__(self, like: Tensor) -> None:
        super().__init__()
        self.gain = nn.Parameter(like.new_ones(()))

    def forward(self, weight: Tensor) -> Tensor:
        """Return γ times ``weight``."""
        return self.gain * weight


def advance_all(iterated: Sequence[Iterated], iterations: int) -> None:
    """Take ``iterations`` steps of power iteration on all operators together, in place."""
    advance([one.operator for one in iterated], [one.u for one in iterated], [one.v for one in iterated], iterations)


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
