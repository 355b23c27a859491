"""Steep points by random search: noise at many scales, then a hill climb by random steps, for inputs of few dimensions.

In a piecewise-linear network the norm of the Jacobian is constant within each linear region, so it has no gradient to
ascend, and a steep region may be small. Random points find it where the input has few dimensions.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lipschitz.estimation.lower_bound.gradient_norms import JacobianNorms, per_sample, sample_norms

SCALES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0)
"""Sizes of the noise, relative to the mean norm of the points. Far out a piecewise-linear network has its asymptotic
slopes."""
LARGEST_STEP, SMALLEST_STEP = 0.5, 5e-4
"""Lengths of the steps of a climb, drawn uniformly on a logarithmic scale, relative to the norm of the climbing point.
"""
ROUNDS = 16
"""Rounds of a climb."""
CHILDREN = 8
"""Steps that each point tries in a round; twice as many after each halving of the points."""
HALVED_EVERY = 4
"""Rounds after which the flatter half of the points is dropped."""


class SteepPoints:
    """Points ``(n, ...)`` and their Jacobian norms, the steepest first."""

    def __init__(self, points: Tensor, found: JacobianNorms) -> None:
        order = found.norms.argsort(descending=True, stable=True)
        self.points = points[order]
        self.found = JacobianNorms(found.norms[order], found.directions[order])

    def __len__(self) -> int:
        return len(self.points)

    def with_others(self, points: Tensor, found: JacobianNorms) -> "SteepPoints":
        """Return these and other points together."""
        both = JacobianNorms(*(torch.cat(pair) for pair in zip(self.found, found, strict=True)))
        return SteepPoints(torch.cat([self.points, points]), both)

    def first(self, n: int) -> "SteepPoints":
        """Return the ``n`` steepest, or all if there are fewer."""
        return SteepPoints(self.points[:n], JacobianNorms(self.found.norms[:n], self.found.directions[:n]))


Jacobian = Callable[[Tensor], JacobianNorms]


def scattered_points(points: Tensor, n: int, rng: torch.Generator) -> Tensor:
    """Return ``n`` points: noise of all `SCALES`, half of it around interpolates of ``points``, half around zero."""
    first, second = (points[torch.randint(len(points), (n,), generator=rng).to(points.device)] for _ in range(2))
    share = torch.rand(n, generator=rng, dtype=points.dtype).to(points.device)
    index = torch.arange(n, device=points.device)
    around = torch.lerp(first, second, per_sample(share, first)) * per_sample((index % 2).to(points.dtype), first)
    scales = torch.tensor(SCALES, dtype=points.dtype, device=points.device)[index // 2 % len(SCALES)]
    return around + _noise(points, scales * mean_norm(points), rng)


def climb(jacobian: Jacobian, start: SteepPoints, scale: float, rng: torch.Generator) -> SteepPoints:
    """Return the end of a climb from ``start``: in each round every point goes to the steepest of some random steps.

    A point stays where no step is steeper. ``scale``: the mean norm of the points around which the climb is.
    """
    points, norms, directions = start.points, *start.found
    children = CHILDREN
    for turn in range(ROUNDS):
        if turn and turn % HALVED_EVERY == 0:
            kept = norms.argsort(descending=True, stable=True)[: -(-len(points) // 2)]
            points, norms, directions = points[kept], norms[kept], directions[kept]
            children *= 2
        tried = points.repeat_interleave(children, dim=0)
        spread = math.log(SMALLEST_STEP / LARGEST_STEP)
        relative = LARGEST_STEP * torch.exp(spread * torch.rand(len(tried), generator=rng, dtype=points.dtype))
        tried = tried + _noise(tried, relative.to(points.device) * sample_norms(tried).clamp_min(0.3 * scale), rng)
        found = jacobian(tried)
        highest, child = found.norms.view(-1, children).max(dim=1)
        child = child + children * torch.arange(len(points), device=points.device)
        better = highest > norms
        norms = torch.where(better, highest, norms)
        points = torch.where(per_sample(better, points), tried[child], points)
        directions = torch.where(per_sample(better, points), found.directions[child], directions)
    return SteepPoints(points, JacobianNorms(norms, directions))


def mean_norm(points: Tensor) -> float:
    """Return the mean norm of ``points`` ``(n, ...)``, or one if all are zero."""
    return float(sample_norms(points).mean()) or 1.0


def _noise(like: Tensor, norms: Tensor, rng: torch.Generator) -> Tensor:
    """Return Gaussian noise, one sample of root mean square norm ``norms`` each, ``(n,)`` -> ``(n, ...)``."""
    shape = (len(norms), *like.shape[1:])
    noise = torch.randn(shape, generator=rng, dtype=like.dtype).to(like.device)
    return noise * per_sample(norms / math.sqrt(max(like[0].numel(), 1)), noise)
