"""Input-gradient norms: an empirical lower bound on a network's Lipschitz constant, and where a penalty acts."""

import torch
from torch import Tensor, nn


def gradient_norms(net: nn.Module, points: Tensor) -> Tensor:
    """Return ‖∇ₓ net(x)‖₂ for each sample of ``points`` ``(n, ...)`` as ``(n,)``, the norm over all axes but the first.

    Every value is a lower bound of the Lipschitz constant of a scalar ``net`` (n, ...) -> (n, 1) that treats samples
    apart. Neither the parameters' gradients nor the points' graph are touched.
    """
    with torch.enable_grad():
        points = points.detach().requires_grad_()
        (gradients,) = torch.autograd.grad(net(points).sum(), points)
    norms: Tensor = torch.linalg.vector_norm(gradients.flatten(1), dim=1)
    return norms
