"""Gradient normalization: a network's output is divided by the size of its input gradient and of itself."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from lipschitz.constraints.base import Constraint
from lipschitz.constraints.batch_dependence import refuse_batch_dependence


class GradientNormalization(Constraint):
    """Replace D by D / (‖∇D‖ + |D|) in every forward pass.

    f̂(x) = f(x) / (‖∇ₓf(x)‖₂ + |f(x)|), each sample with its own gradient (Wu et al. 2021), so that |f̂| <= 1.

    Where f is linear around x, ∇f̂ = ‖∇f‖ ∇f / (‖∇f‖ + |f|)², of norm (‖∇f‖ / (‖∇f‖ + |f|))² <= 1. So a piecewise-linear
    network becomes 1-Lipschitz inside each of its linear regions, but not across them: where ∇f jumps, f̂ jumps with it,
    and a bound on its gradient almost everywhere bounds no difference quotient. For f = 1 + max(x, 0), f̂ is 1 left of
    zero and 1/2 right of it. (Bhaskara et al. 2022, arXiv:2111.03162, claim no more than a piecewise bound for a
    normalisation like this one.) With a smooth activation f̂ is continuous wherever f or ∇f is not zero, but its
    gradient has a term in the Hessian of f, which nothing bounds. Either way no finite Lipschitz constant follows.

    The network keeps its modules and parameters; its class becomes a subclass that normalises, as torch's parametrize
    does for layers. Such a network can be copied and its state saved, but it cannot be pickled.
    """

    source = "Wu et al. 2021, arXiv:2109.02235"
    promise = "heuristic"
    double_backward = True

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Give ``net`` a class whose forward pass is the normalised one of its own."""
        net.__class__ = _normalized_class(type(net))
        return net

    def check(self, net: nn.Module) -> None:
        """Refuse batch normalisation: the gradient of one sample's output is then not a function of that sample."""
        refuse_batch_dependence(self.name(), net)


def _normalized_class(kind: type[nn.Module]) -> type[nn.Module]:
    """Return a subclass of ``kind`` that normalises, and says of itself that no Lipschitz constant bounds it."""

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

    Differentiable, by x and by what f depends on, as often as f is; where the gradient is zero, so is every derivative
    of its norm. Under `torch.no_grad` the value is the same and has no graph. ``x`` itself is left as it is.

    Args:
        f: ``(n, ...)`` -> ``(n, 1)`` or ``(n,)``, each sample treated apart.
        x: ``(n, ...)``.

    Raises:
        ValueError: f has more than one output per sample.
    """
    differentiable = torch.is_grad_enabled()
    with torch.enable_grad():
        if not (differentiable and x.requires_grad):
            x = x.detach().requires_grad_()
        outputs = f(x)
        if outputs.numel() != len(x):
            shape = tuple(outputs.shape)
            raise ValueError(f"gradient_normalization is defined for one output per sample, and here is {shape}")
        (gradients,) = torch.autograd.grad(outputs.sum(), x, create_graph=differentiable)
    size = _norms(gradients).view_as(outputs) + outputs.abs()
    return outputs / size.masked_fill(size == 0, 1)


def _norms(gradients: Tensor) -> Tensor:
    """Return ‖g‖₂ of each sample ``(n, ...)`` as ``(n,)``, zero with all its derivatives where it is zero.

    A penalty on f̂ differentiates this norm twice, and torch's own is NaN there the second time.
    """
    gradients = gradients.flatten(1)
    zero = torch.linalg.vector_norm(gradients.detach(), dim=1) == 0
    norms: Tensor = torch.linalg.vector_norm(gradients.masked_fill(zero.unsqueeze(1), 1), dim=1)
    return norms.masked_fill(zero, 0)
