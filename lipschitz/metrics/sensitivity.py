"""Sensitivity of a classifier to Gaussian noise on its input, to a change of one pixel, and to noise on its weights."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipschitz.estimation.float64_copy import float64_copy
from lipschitz.metrics.predictions import logits_of
from lipschitz.random_streams import stream


class Sensitivity(NamedTuple):
    """How a network's logits change, over samples and draws."""

    loss_change: float
    """Mean increase of the cross-entropy, in nats."""
    logit_change: float
    """Mean Euclidean norm of the change of the logits."""
    largest: float
    """Largest such norm."""
    accuracy: float
    """Share of predictions that are correct under the change, 0 to 1."""


def input_sensitivity(
    net: nn.Module, samples: Tensor, labels: Tensor, size: float, rng: torch.Generator, *, draws: int = 1
) -> Sensitivity:
    """Measure the change of logits when Gaussian noise of standard deviation ``size`` is added to each entry.

    Args:
        net: ``(n, ...)`` -> logits; in eval mode.
        samples: ``(n, ...)``. Noisy samples may leave their range.
        labels: int64 ``(n,)``.
        size: in units of the samples; see `lipschitz.metrics.robustness.image_radius`.
        rng: of the noise. A generator on the CPU gives the same noise on every device.
        draws: noises for each sample.
    """
    noisy = (samples + size * _normal(samples, rng) for _ in range(draws))
    return _changes(logits_of(net, samples), (logits_of(net, x) for x in noisy), labels)


def pixel_sensitivity(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    rng: torch.Generator,
    *,
    draws: int = 10,
    values: tuple[float, float] = (-1.0, 1.0),
) -> Sensitivity:
    """Measure the change of logits when one random pixel of each image gets a random extreme colour.

    Su et al. 2019, arXiv:1710.08864, search for the worst pixel; here pixels are drawn.

    Args:
        net: ``(n, c, h, w)`` -> logits; in eval mode.
        images: ``(n, c, h, w)``.
        labels: int64 ``(n,)``.
        rng: of the pixels.
        draws: pixels for each image.
        values: each channel of the pixel becomes one of these two.
    """
    changed = (_with_random_pixel(images, values, rng) for _ in range(draws))
    return _changes(logits_of(net, images), (logits_of(net, x) for x in changed), labels)


def weight_sensitivity(
    net: nn.Module, samples: Tensor, labels: Tensor, size: float, rng: torch.Generator, *, draws: int = 3
) -> Sensitivity:
    """Measure the change of logits when Gaussian noise is added to every weight and bias of ``net``.

    The noise of a tensor has ``size`` times the root mean square of its entries as standard deviation, so that its norm
    is about ``size`` times the tensor's. Effective weights are changed, after every reparametrisation. The noise of a
    tensor follows from ``rng`` and the tensor's name, whatever other tensors there are and in which order: so networks
    with and without a reparametrisation are changed alike.

    Args:
        net: ``(n, ...)`` -> logits; a copy in eval mode and float32 is measured.
        samples: ``(n, ...)``.
        labels: int64 ``(n,)``.
        size: of the noise, relative.
        rng: of the noise.
        draws: networks with noise.
    """
    dtype = samples.dtype
    with float64_copy(net, dtype) as twin:
        weights = {name: value.detach().clone() for name, value in twin.named_parameters()}

        def perturbed() -> Tensor:
            draw = int(torch.randint(2**62, (), generator=rng, device=rng.device))
            with torch.no_grad():
                for name, parameter in twin.named_parameters():
                    weight = weights[name]
                    scale = torch.linalg.vector_norm(weight) / math.sqrt(max(weight.numel(), 1))
                    parameter.copy_(weight + size * scale * _normal(weight, stream(draw, name, rng.device)))
            return logits_of(twin, samples)

        return _changes(logits_of(twin, samples), (perturbed() for _ in range(draws)), labels)


def _changes(before: Tensor, after: Iterable[Tensor], labels: Tensor) -> Sensitivity:
    """Compare logits ``(n, classes)`` with those of each draw, in float64."""
    before = before.double()
    loss = F.cross_entropy(before, labels)
    rows = []
    for logits in after:
        wide = logits.double()
        distance = torch.linalg.vector_norm(wide - before, dim=1)
        correct = (wide.argmax(dim=1) == labels).double()
        rows.append(
            torch.stack([F.cross_entropy(wide, labels) - loss, distance.mean(), distance.max(), correct.mean()])
        )
    draws = torch.stack(rows)
    means = draws.mean(dim=0)
    return Sensitivity(float(means[0]), float(means[1]), float(draws[:, 2].max()), float(means[3]))


def _normal(like: Tensor, rng: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=rng, device=rng.device).to(like)


def _with_random_pixel(images: Tensor, values: tuple[float, float], rng: torch.Generator) -> Tensor:
    n, channels, height, width = images.shape
    place = torch.randint(height * width, (n, 1, 1), generator=rng, device=rng.device).to(images.device)
    upper = torch.randint(2, (n, channels, 1), generator=rng, device=rng.device).to(images)
    colour = values[0] + (values[1] - values[0]) * upper
    return images.flatten(2).scatter(2, place.expand(n, channels, 1), colour).view_as(images)
