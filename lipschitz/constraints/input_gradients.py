"""A network's input gradients with the graph that a penalty on them needs, and the points where they are taken."""

import torch
from torch import Tensor, nn

from lipschitz.constraints.base import Batch


def input_gradients(net: nn.Module, points: Tensor) -> Tensor:
    """Return ∇ₓ net(x) at each sample of ``points`` ``(n, ...)`` as ``(n, d)``, a function of the parameters.

    ``net``: (n, ...) -> (n, 1), each sample treated apart: the gradient of the sum is then that of each output. The
    points count as constants, and are left as they are.
    """
    points = points.detach().requires_grad_()
    (gradients,) = torch.autograd.grad(net(points).sum(), points, create_graph=True)
    return gradients.flatten(1)


def input_gradient_norms(net: nn.Module, points: Tensor) -> Tensor:
    """Return ‖∇ₓ net(x)‖₂ per sample, ``(n,)``, over all axes but the first; see `input_gradients`.

    Where a norm is zero, torch's subgradient of it is zero too: a penalty's gradient is finite there.
    """
    norms: Tensor = torch.linalg.vector_norm(input_gradients(net, points), dim=1)
    return norms


def interpolate(real: Tensor, generated: Tensor, rng: torch.Generator) -> Tensor:
    """Return ε real + (1 - ε) generated, ``(n, ...)``, with one ε ~ U[0, 1] per sample."""
    shape = (len(real),) + (1,) * (real.dim() - 1)
    epsilon = torch.rand(shape, generator=rng, device=real.device, dtype=real.dtype)
    return torch.lerp(generated, real, epsilon)


def generated_samples(batch: Batch, method: str, allowed: str) -> Tensor:
    """Return the batch's generated samples.

    Raises:
        ValueError: the task generates none; one line that names ``method`` and what is ``allowed`` instead.
    """
    if batch.fake is None:
        raise ValueError(f"{method} needs generated samples, and this task has none; allowed: {allowed}")
    return batch.fake
