"""Gradient normalization: D is replaced by D / (‖∇D‖ + |D|), with ∇D the input gradient, in every forward pass."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from lipschitz.constraints.base import Constraint, Refusal
from lipschitz.constraints.batch_dependence import refuse_batch_dependence


class GradientNormalization(Constraint):
    """Replace D(x) by D(x) / (‖∇ₓD(x)‖ + |D(x)|) in every forward pass.

    f̂(x) = f(x) / (‖∇ₓf(x)‖₂ + |f(x)|), with the input gradient of each sample (Wu et al. 2021). Hence |f̂| <= 1.

    Piecewise linear networks: inside a linear region ∇f̂ = ‖∇f‖ ∇f / (‖∇f‖ + |f|)². Its norm is
    (‖∇f‖ / (‖∇f‖ + |f|))² <= 1, so f̂ is 1-Lipschitz there. Between regions ∇f is discontinuous, and so is f̂. A bound
    on the gradient almost everywhere then does not bound difference quotients. Example: for f(x) = 1 + max(x, 0), f̂ is
    1 for x < 0 and tends to 1/2 for x -> 0 from above. Bhaskara et al. 2022 (arXiv:2111.03162) claim only a piecewise
    bound for a similar normalization.

    Smooth networks: f̂ is continuous where f or ∇f is not zero, but its gradient contains the Hessian of f, which is
    not bounded. In both cases there is no finite Lipschitz constant.

    The network keeps its modules and parameters. Its class is replaced by a subclass with the normalised forward pass,
    as torch's parametrize does for layers. The network can still be copied and its state dict saved, but it cannot be
    pickled.
    """

    source = "Wu et al. 2021, arXiv:2109.02235"
    promise = "heuristic"
    start = "normal"
    start_of_residual = "he"
    double_backward = True

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Replace the class of ``net`` by a subclass with the normalised forward pass."""
        net.__class__ = _normalized_class(type(net))
        return net

    def check(self, net: nn.Module) -> None:
        """Raise Refusal for batch normalization, which makes a sample's gradient depend on the whole batch."""
        refuse_batch_dependence(self.name(), net)


def _normalized_class(kind: type[nn.Module]) -> type[nn.Module]:
    """Return a subclass of ``kind`` with the normalised forward pass, declared as not Lipschitz."""

    def forward(self: nn.Module, x: Tensor, *labels: Tensor) -> Tensor:
        return normalize(lambda points: kind.forward(self, points, *labels), x)

    members = {
        "forward": forward,
        "lipschitz_constant": math.inf,
        "lipschitz_reason": "gradient normalisation is discontinuous where the gradient jumps",
    }
    return type(f"GradientNormalized{kind.__name__}", (kind,), members)


def normalize(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return f(x) / (‖∇ₓf(x)‖ + |f(x)|), in the shape of f(x); 0 where f and its gradient are both zero.

    The result can be differentiated repeatedly, with respect to x and the parameters of f. Where the gradient is zero,
    all derivatives of its norm are defined as zero. Under `torch.no_grad` the value is the same, without a graph. ``x``
    is not modified.

    Args:
        f: ``(n, ...)`` -> ``(n, 1)`` or ``(n,)``; the output for a sample depends on that sample only.
        x: ``(n, ...)``.

    Raises:
        Refusal: f has more than one output per sample.
    """
    differentiable = torch.is_grad_enabled()
    with torch.enable_grad():
        if not (differentiable and x.requires_grad):
            x = x.detach().requires_grad_()
        outputs = f(x)
        if outputs.numel() != len(x):
            shape = tuple(outputs.shape)
            raise Refusal(
                f"gradient_normalization is defined for one output per sample, got shape {shape}; "
                "allowed: spectral_normalization and others"
            )
        (gradients,) = torch.autograd.grad(outputs.sum(), x, create_graph=differentiable)
    size = _norms_smooth_at_zero(gradients).view_as(outputs) + outputs.abs()
    return outputs / size.masked_fill(size == 0, 1)


def _norms_smooth_at_zero(gradients: Tensor) -> Tensor:
    """Return ‖g‖₂ of each sample ``(n, ...)`` as ``(n,)``; where it is zero, all its derivatives are zero too.

    A penalty on f̂ differentiates this norm twice, and the second derivative of torch's norm is NaN at zero.
    """
    gradients = gradients.flatten(1)
    zero = torch.linalg.vector_norm(gradients.detach(), dim=1) == 0
    norms: Tensor = torch.linalg.vector_norm(gradients.masked_fill(zero.unsqueeze(1), 1), dim=1)
    return norms.masked_fill(zero, 0)
