"""Gradient of the generator's loss: its norm by the generator's parameters and by generated samples."""

import torch
from torch import Tensor, nn

from lipschitz.estimation.float64_copy import float64_copy
from lipschitz.tasks.generation.samples import BATCH
from lipschitz.tasks.losses import GANLoss


def generator_gradient(
    loss: GANLoss,
    generator: nn.Module,
    discriminator: nn.Module,
    latents: Tensor,
    real: Tensor,
    labels: Tensor | None = None,
) -> dict[str, float]:
    """Return the norms of the gradient of the generator's loss on one batch, by metric name.

    Arjovsky and Bottou 2017 (arXiv:1701.04862, Fig. 2) plot this norm against the training of the discriminator.
    Both networks are copied in float64 and eval mode, so a norm far below the range of float32 is not rounded to zero,
    and nothing of the training state changes. Images are not augmented.

    Args:
        loss: of the run.
        generator: latents ``(n, latent)`` -> ``(n, ...)``, or with labels.
        discriminator: ``(n, ...)`` -> ``(n, 1)``, or with labels.
        latents: ``(n, latent)``.
        real: real samples ``(n, ...)``, for a loss whose generator sees them.
        labels: int64 ``(n,)``, the classes of the generated and of the real samples in a conditional run.

    Returns:
        ``generator_gradient/parameters``: the l2 norm over all parameters together, of effective weights where they are
        reparametrised. ``generator_gradient/samples``: the mean over samples of the l2 norm of the gradient of a
        sample's own share of the loss, that is n times the gradient of the mean.
    """
    with float64_copy(generator) as g, float64_copy(discriminator) as d, torch.enable_grad():
        parameters = [one.requires_grad_() for one in g.parameters()]
        inputs = [torch.split(rows, BATCH) for rows in (latents.double(), labels) if rows is not None]
        generated = torch.cat([_called(g, *part) for part in zip(*inputs, strict=True)])
        samples = generated.detach().requires_grad_()
        judged = [_called(d, samples, labels)]
        if loss.generator_sees_real:
            with torch.no_grad():
                judged.append(_called(d, real.double(), labels))
        (by_samples,) = torch.autograd.grad(loss.generator(*judged), samples)
        by_parameters = torch.autograd.grad(generated, parameters, by_samples, allow_unused=True)
    norms = torch.linalg.vector_norm(by_samples.flatten(1), dim=1) * len(samples)
    squares = [one.square().sum() for one in by_parameters if one is not None]
    return {
        "generator_gradient/parameters": float(torch.stack(squares).sum().sqrt()) if squares else 0.0,
        "generator_gradient/samples": float(norms.mean()),
    }


def _called(net: nn.Module, x: Tensor, labels: Tensor | None = None) -> Tensor:
    output: Tensor = net(x) if labels is None else net(x, labels)
    return output
