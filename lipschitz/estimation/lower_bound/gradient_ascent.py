"""Gradient ascent on difference quotients of pairs of points: steep places of a network with many inputs.

Ascent on the Jacobian's norm itself would not work: in a piecewise-linear network it does not change with the point.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from lipschitz.estimation.lower_bound.gradient_norms import (
    Network,
    one_where_zero,
    outputs_of,
    per_sample,
    sample_norms,
)

ROUNDING_UNITS = 8
"""Units of rounding of the outputs' norms that are subtracted from a difference of outputs."""
LAST_STEP = 0.1
"""Length of the last step of the ascent, relative to the first."""
MOMENTUM = 0.8
HALVINGS = 3
"""How many times the worse half of the pairs is dropped."""


class PointPairs(NamedTuple):
    """m pairs of points, each ``(m, ...)``."""

    x: Tensor
    y: Tensor

    def joined(self, other: "PointPairs") -> "PointPairs":
        """Return these pairs, then those of ``other``."""
        return PointPairs(torch.cat([self.x, other.x]), torch.cat([self.y, other.y]))

    def first(self, n: int) -> "PointPairs":
        """Return the first ``n`` pairs."""
        return PointPairs(self.x[:n], self.y[:n])

    def distances(self) -> Tensor:
        """Return ‖x - y‖ ``(m,)``."""
        return sample_norms(self.x - self.y)


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
        reach = per_sample(length * LAST_STEP ** (step / steps), pairs.x)
        moved = PointPairs(*(end + reach * u for end, u in zip(pairs, _normalized(direction), strict=True)))
        pairs = separate(moved, min_gap)
        quotients, slopes = _quotients(net, pairs)
        better = quotients > highest
        highest = torch.where(better, quotients, highest)
        best = PointPairs(*(torch.where(per_sample(better, a), a, b) for a, b in zip(pairs, best, strict=True)))
    return best, highest


def separate(pairs: PointPairs, min_gap: Tensor) -> PointPairs:
    """Move the ends of each pair apart until their distance is at least the norm of ``min_gap`` ``(m, ...)``.

    They move along the line through both ends. Where the ends are the same point they move along ``min_gap``.
    """
    gap = pairs.x - pairs.y
    gap = torch.where(per_sample(sample_norms(gap) > 0, gap), gap, min_gap * torch.finfo(gap.dtype).eps)
    distance = sample_norms(gap)
    shift = gap * per_sample((sample_norms(min_gap) - distance).clamp_min(0) / (2 * distance), gap)
    return PointPairs(pairs.x + shift, pairs.y - shift)


def random_pairs(points: Tensor, count: int, rng: torch.Generator) -> PointPairs:
    """Return ``count`` pairs of two of ``points``, which differ unless there is only one point."""
    first = torch.randint(len(points), (count,), generator=rng)
    other = torch.randint(1, max(len(points), 2), (count,), generator=rng)
    return PointPairs(points[first.to(points.device)], points[((first + other) % len(points)).to(points.device)])


def _quotients(net: Network, pairs: PointPairs) -> tuple[Tensor, PointPairs]:
    """Return the difference quotient of each pair ``(m,)`` and the gradient of its logarithm, zero where it is NaN."""
    with torch.enable_grad():
        x, y = (end.detach().requires_grad_() for end in pairs)
        a, b = outputs_of(net, torch.cat([x, y])).chunk(2)
        rounding = ROUNDING_UNITS * torch.finfo(a.dtype).eps * (sample_norms(a) + sample_norms(b)).detach()
        quotients = ((sample_norms(a - b) - rounding) / sample_norms(x - y)).nan_to_num(nan=0.0, posinf=math.inf)
        logarithms = one_where_zero(quotients).log().sum()
        slopes = torch.autograd.grad(logarithms, (x, y), allow_unused=True, materialize_grads=True)
    return quotients.detach(), PointPairs(*(slope.nan_to_num(nan=0.0) for slope in slopes))


def _normalized(pairs: PointPairs) -> PointPairs:
    """Divide both ends of each pair by the norm of both together."""
    norms = per_sample(one_where_zero(torch.hypot(sample_norms(pairs.x), sample_norms(pairs.y))), pairs.x)
    return PointPairs(pairs.x / norms, pairs.y / norms)
