"""Lower bound of a network's Lipschitz constant by gradient ascent on difference quotients of pairs of points."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from lipschitz.estimation.lower_bound.gradient_norms import Network, jacobian_norms, one_where_zero, sample_norms

PARTNER_DISTANCE = 0.1
"""Distance at which a point's partner starts along its gradient, relative to the mean norm of the points."""
MIN_DISTANCE = 1e-4
"""Smallest distance of a pair, relative to the mean norm s of the points.

In float64 a difference of outputs has a rounding error of about ε (‖f(x)‖ + ‖f(y)‖ + U s), with U the product of the
layers' norms. The first two terms are subtracted from the difference. The third raises a quotient at this distance by
1e4 ε U, which is less than `ROUNDING_MARGIN` times U.
"""
ROUNDING_MARGIN = 1e-9
"""A lower bound is reduced by this share of itself, so that rounding does not raise it above an upper bound."""
ROUNDING_UNITS = 8
"""Units of rounding of the outputs' norms that are subtracted from a difference of outputs."""
LAST_STEP = 0.03
"""Length of the last step of the ascent, relative to the first."""
MOMENTUM = 0.5
HALVINGS = 3
"""How many times the worse half of the pairs is dropped."""
LINE_POINTS = 5
"""Points on the line between the ends of each remaining pair, ends included, where the Jacobian is evaluated last."""


class PointPairs(NamedTuple):
    """m pairs of points, each ``(m, ...)``."""

    x: Tensor
    y: Tensor


def lower_bound(net: Network, points: Tensor, rng: torch.Generator, *, pairs: int = 16, steps: int = 50) -> float:
    """Return a lower bound of the Lipschitz constant of ``net`` in the Euclidean norm, over all inputs.

    The bound is the largest of three kinds of values:

    - norms of the Jacobian at ``points``;
    - quotients ‖f(x) - f(y)‖ / ‖x - y‖, maximised by gradient ascent over both ends of pairs of points;
    - norms of the Jacobian on the lines between the ends of the best pairs. By the mean value theorem the Jacobian is
      at least as large as the quotient at some point of the line.

    Ascent on the Jacobian's norm itself would not work: in a piecewise-linear network the norm does not change with the
    point.

    Args:
        net: in float64 and eval mode, ``(n, ...)`` -> ``(n, ...)``, each sample independent of the others. With several
            outputs the norm is taken over all of them.
        points: ``(n, ...)``, n > 0: where the search starts. It may move away from them.
        rng: the only source of randomness, on the CPU.
        pairs: number of pairs at the start. Half of them are two of ``points``. The others are one of the points with
            the largest Jacobian and a partner near it.
        steps: of the ascent; each costs a forward and a backward pass of all pairs.
    """
    points = points.detach()
    found = jacobian_norms(net, points, rng)
    best = float(found.norms.max())
    scale = float(sample_norms(points).mean()) or 1.0
    apart = _random_pairs(points, pairs // 2, rng)
    order = found.norms.argsort(descending=True)[torch.arange(pairs - pairs // 2) % len(points)]
    near = PointPairs(points[order], points[order] + PARTNER_DISTANCE * scale * found.directions[order])
    start = PointPairs(torch.cat([apart.x, near.x]), torch.cat([apart.y, near.y]))
    noise = torch.randn(start.x.shape, generator=rng, dtype=points.dtype).to(points.device)
    min_gap = MIN_DISTANCE * scale * noise / _per_sample(sample_norms(noise), noise)
    steep, quotients = ascend(net, start, min_gap, steps)
    line = torch.linspace(0, 1, LINE_POINTS, dtype=points.dtype, device=points.device).tolist()
    between = torch.cat([torch.lerp(steep.x, steep.y, share) for share in line])
    best = max(best, float(quotients.max()), float(jacobian_norms(net, between, rng).norms.max()))
    return best * (1 - ROUNDING_MARGIN)


def ascend(net: Network, pairs: PointPairs, min_gap: Tensor, steps: int) -> tuple[PointPairs, Tensor]:
    """Maximise each pair's quotient by gradient ascent; return the best of the kept pairs and their quotients ``(m,)``.

    The gradient is that of log ‖f(x) - f(y)‖ - log ‖x - y‖ by both ends, with momentum. The step length does not depend
    on the gradient's norm: the first step is as long as the pair's distance, the last `LAST_STEP` times that. The steps
    are divided into `HALVINGS` + 2 equal parts. After each of the first `HALVINGS` parts the worse half of the pairs is
    dropped. ``min_gap`` is as in `separate`.
    """
    pairs = separate(pairs, min_gap)
    length = sample_norms(pairs.x - pairs.y)
    quotients, slopes = _quotients(net, pairs)
    best, highest = pairs, quotients
    direction = PointPairs(torch.zeros_like(pairs.x), torch.zeros_like(pairs.y))
    halvings = [(part + 1) * steps // (HALVINGS + 2) for part in range(HALVINGS)]
    for step in range(steps):
        if step in halvings:
            kept = highest.argsort(descending=True)[: max(1, len(highest) // 2)]
            pairs, slopes, best, direction = (
                PointPairs(p.x[kept], p.y[kept]) for p in (pairs, slopes, best, direction)
            )
            min_gap, length, highest = min_gap[kept], length[kept], highest[kept]
        direction = PointPairs(
            *(MOMENTUM * d + (1 - MOMENTUM) * s for d, s in zip(direction, _normalized(slopes), strict=True))
        )
        reach = _per_sample(length * LAST_STEP ** (step / steps), pairs.x)
        moved = PointPairs(*(end + reach * u for end, u in zip(pairs, _normalized(direction), strict=True)))
        pairs = separate(moved, min_gap)
        quotients, slopes = _quotients(net, pairs)
        better = quotients > highest
        highest = torch.where(better, quotients, highest)
        best = PointPairs(*(torch.where(_per_sample(better, a), a, b) for a, b in zip(pairs, best, strict=True)))
    return best, highest


def separate(pairs: PointPairs, min_gap: Tensor) -> PointPairs:
    """Move the ends of each pair apart until their distance is at least the norm of ``min_gap`` ``(m, ...)``.

    They move along the line through both ends. Where the ends are the same point they move along ``min_gap``.
    """
    gap = pairs.x - pairs.y
    gap = torch.where(_per_sample(sample_norms(gap) > 0, gap), gap, min_gap * torch.finfo(gap.dtype).eps)
    distance = sample_norms(gap)
    shift = gap * _per_sample((sample_norms(min_gap) - distance).clamp_min(0) / (2 * distance), gap)
    return PointPairs(pairs.x + shift, pairs.y - shift)


def _random_pairs(points: Tensor, count: int, rng: torch.Generator) -> PointPairs:
    """Return ``count`` pairs of two of ``points``, which differ unless there is only one point."""
    first = torch.randint(len(points), (count,), generator=rng)
    other = torch.randint(1, max(len(points), 2), (count,), generator=rng)
    return PointPairs(points[first.to(points.device)], points[((first + other) % len(points)).to(points.device)])


def _quotients(net: Network, pairs: PointPairs) -> tuple[Tensor, PointPairs]:
    """Return the difference quotient of each pair ``(m,)`` and the gradient of its logarithm, zero where it is NaN."""
    with torch.enable_grad():
        x, y = (end.detach().requires_grad_() for end in pairs)
        a, b = net(torch.cat([x, y])).chunk(2)
        rounding = ROUNDING_UNITS * torch.finfo(a.dtype).eps * (sample_norms(a) + sample_norms(b)).detach()
        quotients = ((sample_norms(a - b) - rounding) / sample_norms(x - y)).nan_to_num(nan=0.0, posinf=math.inf)
        logarithms = one_where_zero(quotients).log().sum()
        slopes = torch.autograd.grad(logarithms, (x, y), allow_unused=True, materialize_grads=True)
    return quotients.detach(), PointPairs(*(slope.nan_to_num(nan=0.0) for slope in slopes))


def _normalized(pairs: PointPairs) -> PointPairs:
    """Divide both ends of each pair by the norm of both together."""
    norms = _per_sample(one_where_zero(torch.hypot(sample_norms(pairs.x), sample_norms(pairs.y))), pairs.x)
    return PointPairs(pairs.x / norms, pairs.y / norms)


def _per_sample(values: Tensor, like: Tensor) -> Tensor:
    """Reshape ``values`` ``(m,)`` so that they broadcast over the samples of ``like`` ``(m, ...)``."""
    return values.view(-1, *[1] * (like.dim() - 1))
