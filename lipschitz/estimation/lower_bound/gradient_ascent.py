"""A lower bound of a network's Lipschitz constant: the steepest that it is found to be."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from lipschitz.estimation.lower_bound.gradient_norms import Network, positive, sizes, steepest

NEAR = 0.1
"""How far a point's partner starts along its gradient, relative to the scale of the points: their mean norm."""
NEAREST = 1e-4
"""The least distance of a pair, relative to the scale of the points.

Float64 leaves in a difference of outputs an error of about ε (‖f(x)‖ + ‖f(y)‖ + U times that scale), with U the product
of the layers' norms. The first two are taken off; the third lifts a quotient at this distance by 1e4 ε U, which is less
than `ROUNDING` U.
"""
ROUNDING = 1e-9
"""By how much, relatively, what is found is lowered, so that rounding does not lift it above an upper bound."""
UNITS = 8
"""Units of rounding in an output's norm that are taken off a difference of outputs."""
LAST = 0.03
"""Length of the last step of an ascent, relative to its first."""
MOMENTUM = 0.5
HALVINGS = 3
"""How often the worse half of the pairs is dropped."""
BETWEEN = 5
"""Points on the line between a pair, its ends included, at which the gradient is taken in the end."""


class Pairs(NamedTuple):
    """Two points each, ``(m, ...)``."""

    x: Tensor
    y: Tensor


def lower_bound(net: Network, points: Tensor, rng: torch.Generator, *, pairs: int = 16, steps: int = 50) -> float:
    """Return a lower bound of the Lipschitz constant of ``net`` in the Euclidean norm, over all inputs.

    The largest of the norms of its Jacobian at ``points``; of quotients ‖f(x) - f(y)‖ / ‖x - y‖, maximised by ascent
    over both ends of pairs; and of the Jacobian's norms on the lines between the best of each, since by the mean value
    theorem some point there is as steep as the quotient. Ascent on the gradient's norm itself would be void for a
    piecewise-linear network, in which that norm does not change with the point.

    Args:
        net: in float64 and eval mode, ``(n, ...)`` -> ``(n, ...)``, each sample treated apart. Of several outputs the
            norm is taken over all of them.
        points: ``(n, ...)``, n > 0: where the search starts. It may leave them: the constant is that of all inputs.
        rng: the only source of randomness, on the CPU.
        pairs: how many are moved, half of them starting as two of ``points``, half near the steepest of them.
        steps: of the ascent; each costs a forward and a backward pass of all pairs.
    """
    points = points.detach()
    found = steepest(net, points, rng)
    best = float(found.norms.max())
    scale = float(sizes(points).mean()) or 1.0
    apart = _far(points, pairs // 2, rng)
    order = found.norms.argsort(descending=True)[torch.arange(pairs - pairs // 2) % len(points)]
    near = Pairs(points[order], points[order] + NEAR * scale * found.directions[order])
    start = Pairs(torch.cat([apart.x, near.x]), torch.cat([apart.y, near.y]))
    anyway = torch.randn(start.x.shape, generator=rng, dtype=points.dtype).to(points.device)
    steep, quotients = ascended(net, start, NEAREST * scale * anyway / _each(sizes(anyway), anyway), steps)
    line = torch.linspace(0, 1, BETWEEN, dtype=points.dtype, device=points.device).tolist()
    between = torch.cat([torch.lerp(steep.x, steep.y, share) for share in line])
    best = max(best, float(quotients.max()), float(steepest(net, between, rng).norms.max()))
    return best * (1 - ROUNDING)


def ascended(net: Network, pairs: Pairs, nearest: Tensor, steps: int) -> tuple[Pairs, Tensor]:
    """Maximise each pair's quotient, and return the best of those that were kept, with their quotients ``(m,)``.

    Steps along the gradient of log ‖f(x) - f(y)‖ - log ‖x - y‖ by both ends, with momentum; their length does not
    depend on the gradient's: the first is as long as the pair is apart, the last `LAST` of that. After each of the
    first `HALVINGS` of `HALVINGS` + 2 equal parts the worse half of the pairs is dropped. ``nearest`` is that of
    `separated`.
    """
    pairs = separated(pairs, nearest)
    length = sizes(pairs.x - pairs.y)
    quotients, slopes = _quotients(net, pairs)
    best, highest = pairs, quotients
    way = Pairs(torch.zeros_like(pairs.x), torch.zeros_like(pairs.y))
    halvings = [(part + 1) * steps // (HALVINGS + 2) for part in range(HALVINGS)]
    for step in range(steps):
        if step in halvings:
            kept = highest.argsort(descending=True)[: max(1, len(highest) // 2)]
            pairs, slopes, best, way = (Pairs(p.x[kept], p.y[kept]) for p in (pairs, slopes, best, way))
            nearest, length, highest = nearest[kept], length[kept], highest[kept]
        way = Pairs(*(MOMENTUM * w + (1 - MOMENTUM) * s for w, s in zip(way, _unit(slopes), strict=True)))
        reach = _each(length * LAST ** (step / steps), pairs.x)
        pairs = separated(Pairs(*(end + reach * u for end, u in zip(pairs, _unit(way), strict=True))), nearest)
        quotients, slopes = _quotients(net, pairs)
        better = quotients > highest
        highest = torch.where(better, quotients, highest)
        best = Pairs(*(torch.where(_each(better, a), a, b) for a, b in zip(pairs, best, strict=True)))
    return best, highest


def separated(pairs: Pairs, nearest: Tensor) -> Pairs:
    """Move the ends of each pair apart until they are as far apart as ``nearest`` ``(m, ...)`` is long.

    Along the line through them; where they are one point, along ``nearest``.
    """
    gap = pairs.x - pairs.y
    gap = torch.where(_each(sizes(gap) > 0, gap), gap, nearest * torch.finfo(gap.dtype).eps)
    distance = sizes(gap)
    way = gap * _each((sizes(nearest) - distance).clamp_min(0) / (2 * distance), gap)
    return Pairs(pairs.x + way, pairs.y - way)


def _far(points: Tensor, count: int, rng: torch.Generator) -> Pairs:
    """Return pairs of two of ``points``, different ones where there are."""
    first = torch.randint(len(points), (count,), generator=rng)
    other = torch.randint(1, max(len(points), 2), (count,), generator=rng)
    return Pairs(points[first.to(points.device)], points[((first + other) % len(points)).to(points.device)])


def _quotients(net: Network, pairs: Pairs) -> tuple[Tensor, Pairs]:
    """Return the difference quotient of each pair ``(m,)``, and the gradient of its logarithm; zero where it is."""
    with torch.enable_grad():
        x, y = (end.detach().requires_grad_() for end in pairs)
        a, b = net(torch.cat([x, y])).chunk(2)
        rounding = UNITS * torch.finfo(a.dtype).eps * (sizes(a) + sizes(b)).detach()
        quotients = ((sizes(a - b) - rounding) / sizes(x - y)).nan_to_num(nan=0.0, posinf=math.inf)
        logarithms = positive(quotients).log().sum()
        slopes = torch.autograd.grad(logarithms, (x, y), allow_unused=True, materialize_grads=True)
    return quotients.detach(), Pairs(*(slope.nan_to_num(nan=0.0) for slope in slopes))


def _unit(pairs: Pairs) -> Pairs:
    """Divide both ends of each pair by the norm of both together."""
    norms = _each(positive(torch.hypot(sizes(pairs.x), sizes(pairs.y))), pairs.x)
    return Pairs(pairs.x / norms, pairs.y / norms)


def _each(values: Tensor, like: Tensor) -> Tensor:
    """Return ``values`` ``(m,)`` in a shape that multiplies each sample of ``like``."""
    return values.view(-1, *[1] * (like.dim() - 1))
