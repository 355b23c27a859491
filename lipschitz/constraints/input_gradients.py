"""Input gradients for gradient penalties, and the points where they are taken: interpolates, generated samples."""

import torch
from torch import Tensor, nn

from lipschitz.constraints.base import Batch, Refusal

WITHOUT_GENERATED = "zero_centered_penalty, or others at real samples"
"""What to choose where a penalty needs generated samples and the task has none."""


def input_gradients(net: nn.Module, points: Tensor) -> Tensor:
    """Return ∇ₓ net(x) at each sample of ``points`` ``(n, ...)`` as ``(n, d)``, differentiable in the parameters.

    ``net`` maps (n, ...) to (n, 1), and each output must depend on its own sample only, because the gradient of the sum
    of all outputs is computed. ``points`` are treated as constants and not modified.
    """
    points = points.detach().requires_grad_()
    (gradients,) = torch.autograd.grad(net(points).sum(), points, create_graph=True)
    return gradients.flatten(1)


def input_gradient_norms(net: nn.Module, points: Tensor) -> Tensor:
    """Return ‖∇ₓ net(x)‖₂ per sample, ``(n,)``, over all axes except the first; see `input_gradients`.

    Where a norm is zero, torch's subgradient is zero, so the gradient of a penalty is finite.
    """
    norms: Tensor = torch.linalg.vector_norm(input_gradients(net, points), dim=1)
    return norms


def interpolate(real: Tensor, generated: Tensor, rng: torch.Generator) -> Tensor:
    """Return ε real + (1 - ε) generated, ``(n, ...)``, with one ε ~ U[0, 1] per sample."""
    shape = (len(real),) + (1,) * (real.dim() - 1)
    epsilon = torch.rand(shape, generator=rng, device=real.device, dtype=real.dtype)
    return torch.lerp(generated, real, epsilon)


def generated_samples(batch: Batch, method: str, allowed: str) -> Tensor:
    """Return the generated samples of ``batch``.

    Raises:
        Refusal: the batch has no generated samples; the message contains ``method`` and ``allowed``.
    """
    if batch.fake is None:
        raise Refusal(f"{method} needs generated samples, but this task has none; allowed: {allowed}")
    return batch.fake
