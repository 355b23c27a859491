"""Adversarial attacks on classifiers: FGSM and PGD in the l2 norm, and which samples withstand them.

Own code, as no library fits: torchattacks 3.5.1 requires requests 2.25, which other tools here do not allow; foolbox
3.3.4 raises deprecation warnings of SciPy when it is imported; the Adversarial Robustness Toolbox 1.20 draws from
NumPy's global generator, moves each batch to the CPU and takes float32 only. A test compares with the last.
"""

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from lipschitz.estimation.lower_bound.gradient_norms import per_sample
from lipschitz.metrics.predictions import BATCH, evaluated

IMAGE_RANGE = (-1.0, 1.0)
"""Least and largest value of a pixel of the package's images."""
STEP = 2.5
"""Length of a step of PGD, times the number of steps, over the radius (Madry et al. 2018, arXiv:1706.06083, Sec. 4)."""

Range = tuple[float, float] | None
"""Least and largest value that an attack may give to an entry; None for any."""
Attack = Callable[[Tensor, Tensor, Tensor, float], Tensor]
"""(samples, labels, which samples still stand, radius) -> which of these withstand the attack, all ``(n, ...)``."""


def withstands_pgd(
    net: nn.Module,
    samples: Tensor,
    labels: Tensor,
    radii: Sequence[float],
    rng: torch.Generator,
    *,
    steps: int = 20,
    restarts: int = 2,
    allowed: Range = IMAGE_RANGE,
    batch: int = BATCH,
) -> Tensor:
    """Return whether each sample is classified correctly at all points that PGD-l2 visits: bool ``(radii, n)``.

    Madry et al. 2018, arXiv:1706.06083, Sec. 2.1, in the l2 norm: steps along the normalised gradient of the
    cross-entropy, projected onto the ball and the allowed range. The first start is the sample, others are uniform in
    the ball. A sample that is fooled within a radius is so within every larger one.

    Args:
        net: ``(n, ...)`` -> logits ``(n, classes)``; it is attacked in eval mode and not changed.
        samples: ``(n, ...)``.
        labels: int64 ``(n,)``.
        radii: in units of the samples; see `lipschitz.metrics.robustness.image_radius`.
        rng: of the starts. A generator on the CPU gives the same starts on every device.
        steps: gradients for each start.
        restarts: starts for each radius.
        allowed: range of entries.
        batch: samples that are attacked at once.

    Raises:
        ValueError: the logits have no gradient, a radius is negative or NaN, or no start or step is wanted.
    """
    if steps < 1 or restarts < 1:
        raise ValueError(f"PGD with {steps} steps and {restarts} starts; expected at least one of each")

    def attack(x: Tensor, y: Tensor, standing: Tensor, radius: float) -> Tensor:
        for restart in range(restarts):
            # Drawn for all samples, so that draws do not depend on which samples still stand.
            start = _uniform_in_ball(x, radius, rng) if restart else torch.zeros_like(x)
            left = standing.nonzero()[:, 0]
            if not len(left):
                break
            for _, logits in pgd(net, x[left], y[left], start[left], radius, steps, allowed):
                standing = standing.index_put((left,), standing[left] & (logits.argmax(dim=1) == y[left]))
        return standing

    return _withstood(net, samples, labels, radii, attack, batch)


def withstands_fgsm(
    net: nn.Module,
    samples: Tensor,
    labels: Tensor,
    radii: Sequence[float],
    *,
    allowed: Range = IMAGE_RANGE,
    batch: int = BATCH,
) -> Tensor:
    """Return whether each sample is classified correctly, before and after FGSM: bool ``(radii, n)``.

    Goodfellow et al. 2015, arXiv:1412.6572, eq. in Sec. 4: each entry moves by the radius along the sign of the
    gradient of the cross-entropy. So ``radii`` are of the l∞ norm. Arguments and errors are those of `withstands_pgd`.
    """

    def attack(x: Tensor, y: Tensor, standing: Tensor, radius: float) -> Tensor:
        with torch.no_grad():
            logits: Tensor = net(fgsm(net, x, y, radius, allowed))
        return standing & (logits.argmax(dim=1) == y)

    return _withstood(net, samples, labels, radii, attack, batch)


def fgsm(net: nn.Module, x: Tensor, y: Tensor, radius: float, allowed: Range) -> Tensor:
    """Return the points of FGSM; see `withstands_fgsm`."""
    return _clamped(x + radius * _gradient(net, x, y)[0].sign(), allowed)


def _withstood(
    net: nn.Module, samples: Tensor, labels: Tensor, radii: Sequence[float], attack: Attack, batch: int
) -> Tensor:
    if any(not radius >= 0 for radius in radii):
        raise ValueError(f"attack radii {list(radii)}; expected numbers that are at least 0")
    parts = []
    with evaluated(net):
        for x, y in zip(torch.split(samples, batch), torch.split(labels, batch), strict=True):
            with torch.no_grad():
                standing = net(x).argmax(dim=1) == y
            rows = standing.new_empty((len(radii), len(x)))
            for index in sorted(range(len(radii)), key=lambda index: radii[index]):
                standing = attack(x, y, standing, radii[index])
                rows[index] = standing
            parts.append(rows)
    return torch.cat(parts, dim=1)


def pgd(
    net: nn.Module, x: Tensor, y: Tensor, start: Tensor, radius: float, steps: int, allowed: Range
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (points, logits) of PGD-l2 from x + ``start``, then after each step; see `withstands_pgd`."""
    # Less than the radius by what rounding may add, so that no point is outside the ball.
    inside = max(0.0, radius - math.sqrt(x[0].numel()) * torch.finfo(x.dtype).eps * max(1.0, float(x.abs().max())))
    point = _clamped(x + _projected(start, inside), allowed)
    for _ in range(steps):
        gradient, logits = _gradient(net, point, y)
        yield point, logits
        moved = point - x + (STEP * radius / steps) * _unit(gradient)
        point = _clamped(x + _projected(moved, inside), allowed)
    with torch.no_grad():
        yield point, net(point)


def _gradient(net: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return a positive multiple of the gradient of each sample's cross-entropy by the sample, and the logits.

    Cross-entropy is softplus(a) for a = log Σ_{j≠y} exp z_j - z_y. The gradient of a has the same direction, and is not
    zero where a prediction is so confident that the gradient of the cross-entropy underflows.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_(True)
        logits = net(x)
        if not logits.requires_grad:
            raise ValueError(
                "the logits have no gradient by the sample, which attacks follow; allowed: networks of torch"
            )
        others = logits.scatter(1, y[:, None], -math.inf).logsumexp(dim=1)
        (gradient,) = torch.autograd.grad((others - logits.gather(1, y[:, None])[:, 0]).sum(), x)
    return gradient, logits.detach()


def _uniform_in_ball(x: Tensor, radius: float, rng: torch.Generator) -> Tensor:
    """Return uniform points of the ball, one for each sample of ``x`` ``(n, ...)``."""
    normal = torch.randn(x.shape, generator=rng, device=rng.device)
    length = torch.rand(len(x), generator=rng, device=rng.device) ** (1 / x[0].numel())
    return (radius * per_sample(length, x) * _unit(normal)).to(x)


def _unit(x: Tensor) -> Tensor:
    """Return ``x`` ``(n, ...)`` with each sample divided by its norm; zero stays zero."""
    # Divided by its peak first: squares of small gradients underflow.
    tiny = torch.finfo(x.dtype).tiny
    x = x / per_sample(x.flatten(1).abs().amax(dim=1).clamp_min(tiny), x)
    return x / per_sample(torch.linalg.vector_norm(x.flatten(1), dim=1).clamp_min(tiny), x)


def _projected(x: Tensor, radius: float) -> Tensor:
    """Return the nearest point to each sample of ``x`` in the ball about zero."""
    norms = torch.linalg.vector_norm(x.flatten(1), dim=1).clamp_min(torch.finfo(x.dtype).tiny)
    return x * per_sample((radius / norms).clamp_max(1), x)


def _clamped(x: Tensor, allowed: Range) -> Tensor:
    return x if allowed is None else x.clamp(*allowed)
