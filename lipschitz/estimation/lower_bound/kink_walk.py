"""Steep points of a piecewise-linear network by walking from linear region to linear region across their kinks.

A steep region may be so thin that no random point hits it: a triangle between three kinks that nearly meet in a point.
It is found from the regions around it. Two regions with the affine functions f_i + g_i · (z - x_i) meet where both
agree: a value and a gradient at one point of each give the kink between them, and three regions give a corner. Nothing
but values and gradients is used, so kinks of any kind count, and the search for the exact constant has no part in it.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from lipschitz.estimation.lower_bound.gradient_norms import Network, one_where_zero, outputs_of

REGIONS = (96, 64, 48, 24, 24, 16, 16, 16)
"""Regions that are left in each round, at most: the steepest of all that are known and were not left yet."""
APART = (0.1, 0.03, 0.01, 0.0, 0.0, 0.0, 0.0, 0.0)
"""In each round no region is left that has a steeper one so near, relative to the norm of its point. The steepest
regions crowd together, and the steepest of all may be elsewhere."""
NEAR_ORIGIN = 0.02
"""The least norm that this is relative to, relative to the scale of the data."""
KNOWN = 1024
"""Steepest regions that are kept."""
RAYS = 6
"""Rays from each region, evenly spread in a plane: the whole space where there are two inputs."""
PASSES = 2
"""First along the rays, then through the corners that the kinks across them would make: another kink may cut these."""
CUTS = 5
"""Evaluations that close in on the first kink that a ray meets."""
SECTORS = 4
"""Points around each corner: two kinks that cross make four regions."""
REACH, GROWTH, FARTHEST = 0.03, 8.0, 1.0
"""Length of a ray, by how much it grows where it meets no kink, and the largest distance of a corner. Lengths are
relative to the norm of the point, or to the scale of the data if that is larger."""
BESIDE = 1e-8
"""How far beside kinks and corners points are taken, relative to the same norm."""
SAME = 1e-7
"""Two gradients are of one region where they differ by less than this, relatively."""
EVALUATIONS = sum(REGIONS) * RAYS * PASSES * (1 + CUTS + SECTORS)
"""Points of a walk, at most."""


class Pieces(NamedTuple):
    """Affine functions f + g · (z - x), ``(...)`` of them: what a network is around the points x."""

    points: Tensor
    """x ``(..., d)``."""
    values: Tensor
    """f ``(...)``."""
    gradients: Tensor
    """g ``(..., d)``."""

    def at(self, points: Tensor) -> Tensor:
        """Return the values of the functions at ``points`` ``(..., d)``."""
        return self.values + ((points - self.points) * self.gradients).sum(dim=-1)

    def differ(self, other: "Pieces") -> Tensor:
        """Say which gradients are not those of ``other``."""
        larger = torch.maximum(_norms(self.gradients), _norms(other.gradients))
        return _norms(self.gradients - other.gradients) > SAME * larger

    def steepest(self, n: int) -> "Pieces":
        """Return the ``n`` steepest, the steepest first, and one for each norm of the gradient."""
        norms = _norms(self.gradients)
        order = norms.argsort(descending=True, stable=True)
        lower = norms[order][1:] < norms[order][:-1] * (1 - SAME)
        chosen = order[torch.cat([torch.ones_like(lower[:1]), lower])] if len(order) > 1 else order
        return self.where(chosen[:n])

    def where(self, chosen: Tensor) -> "Pieces":
        """Return those where ``chosen`` ``(m,)`` is true, or those with these indices."""
        return Pieces(*(part[chosen] for part in self))

    def peaks(self, distance: float, least: float) -> "Pieces":
        """Return those that have no steeper one within ``distance`` times their norm, or ``least`` if it is larger.

        They are sorted, the steepest first.
        """
        near = torch.cdist(self.points, self.points) < distance * _norms(self.points).clamp_min(least)[:, None]
        return self.where(~near.tril(-1).any(dim=1))


Evaluate = Callable[[Tensor], Pieces]
"""Returns the pieces of a network at points ``(m, d)``."""


def pieces_of(net: Network, points: Tensor) -> Pieces:
    """Return the pieces of ``net`` ``(n, ...)`` -> ``(n, 1)`` or ``(n,)`` at ``points`` ``(n, ...)``, flattened."""
    with torch.enable_grad():
        at = points.detach().requires_grad_()
        outputs = outputs_of(net, at)[:, 0]
        (gradients,) = torch.autograd.grad(outputs.sum(), at)
    return Pieces(points.flatten(1), outputs.detach(), gradients.flatten(1).nan_to_num(nan=0.0))


def walk(evaluate: Evaluate, start: Pieces, scale: float, rng: torch.Generator, *, share: float = 1.0) -> Pieces:
    """Return the steepest regions that a walk from the steepest of ``start`` meets, the steepest first.

    Args:
        evaluate: the network.
        start: any pieces ``(m,)``, at least one.
        scale: mean norm of the data.
        rng: on the CPU.
        share: of the `REGIONS` of each round.
    """
    known, left = start.steepest(KNOWN), start.values[:0]
    for regions, distance in zip(REGIONS, APART, strict=True):
        norms = _norms(known.gradients)
        is_new = ~torch.isclose(norms[:, None], left, rtol=SAME, atol=0.0).any(dim=1)
        chosen = known.where(is_new).peaks(distance, NEAR_ORIGIN * scale).steepest(math.ceil(share * regions))
        if not len(chosen.values):
            break
        left = torch.cat([left, _norms(chosen.gradients)])
        found = _around(evaluate, chosen, scale, rng)
        known = Pieces(*(torch.cat(parts) for parts in zip(known, *found, strict=True))).steepest(KNOWN)
    return known


def _around(evaluate: Evaluate, regions: Pieces, scale: float, rng: torch.Generator) -> list[Pieces]:
    """Return pieces around each of ``regions`` ``(m,)``: beyond the kinks that rays meet, and around its corners."""
    m = len(regions.values)
    size = _norms(regions.points).clamp_min(scale)
    plane = _planes(regions.gradients, rng)
    turns = torch.arange(RAYS, dtype=size.dtype) + torch.rand(m, 1, generator=rng, dtype=size.dtype)
    rays = _circle(turns.to(size.device) / RAYS) * (REACH * size)[:, None, None]
    sent, beyond, found = rays[:, :0], list[Pieces](), list[Pieces]()
    for _ in range(PASSES):
        across, tried = _first_kinks(evaluate, regions, rays @ plane, BESIDE * size)
        found += tried
        sent, beyond = torch.cat([sent, rays], dim=1), [*beyond, across]
        order = torch.atan2(sent[..., 1], sent[..., 0]).argsort(dim=1)
        rows = torch.arange(m, device=order.device)[:, None]
        sides = Pieces(*(torch.cat(parts, dim=1)[rows, order] for parts in zip(*beyond, strict=True)))
        corners, exist = _corners(regions, sides, plane)
        directions = sent[rows, order] / one_where_zero(_norms(sent))[rows, order][..., None]
        between = directions + directions.roll(-1, dims=1)
        ahead = (corners * between).sum(dim=2) > 0
        exist &= ahead & (_norms(corners) < FARTHEST * size[:, None])
        rays = torch.where(exist[..., None], 1.02 * corners, (REACH * size)[:, None, None] * between)
    owners = exist.nonzero()[:, 0]
    circle = _circle((torch.arange(SECTORS, dtype=size.dtype, device=size.device) + 0.5) / SECTORS)
    beside = corners[exist][:, None] + (BESIDE * size)[owners, None, None] * circle
    points = regions.points[owners, None] + beside @ plane[owners]
    return [*found, evaluate(points.flatten(0, 1))] if len(points) else found


def _first_kinks(evaluate: Evaluate, regions: Pieces, rays: Tensor, beside: Tensor) -> tuple[Pieces, list[Pieces]]:
    """Return the pieces ``(m, n)`` beyond the first kink that each ray meets, and all that were evaluated.

    On a ray the network is a broken line. Where the functions at its start and at a point beyond a kink agree is the
    first kink, unless there are more between. So points just before and just beyond are tried.

    Args:
        evaluate: the network.
        regions: m pieces, where the rays start.
        rays: ``(m, n, d)``; they are made longer where they meet no kink.
        beside: how far before and beyond a kink, ``(m,)``.
    """
    m, n, d = rays.shape
    here = Pieces(*(part.repeat_interleave(n, dim=0) for part in regions))
    hair, length = beside.repeat_interleave(n), _norms(rays).flatten()
    directions = rays.reshape(m * n, d) / one_where_zero(length)[:, None]
    beyond = evaluate(here.points + length[:, None] * directions)
    found = [beyond]
    crossed = beyond.differ(here)
    low, high = torch.where(crossed, 0.0, length), torch.where(crossed, length, math.inf)
    for _ in range(CUTS):
        # Positions along the ray: the gradient is known to be that of its start up to low, and another one at high.
        bend = ((here.gradients - beyond.gradients) * directions).sum(dim=1)
        along = (beyond.at(here.points) - here.values) / bend
        middle = torch.where(high.isinf(), GROWTH * low, (low + high) / 2)
        near = torch.where(low < along - 1.5 * hair, along - hair, torch.minimum(along + hair, high))
        position = torch.where((along > low) & (along < high) & high.isfinite(), near, middle)
        tried = evaluate(here.points + position[:, None] * directions)
        found.append(tried)
        crossed = tried.differ(here)
        low, high = torch.where(crossed, low, position), torch.where(crossed, position, high)
        masks = (crossed[:, None], crossed, crossed[:, None])
        beyond = Pieces(*(torch.where(*each) for each in zip(masks, tried, beyond, strict=True)))
    return Pieces(*(part.view(m, n, *part.shape[1:]) for part in beyond)), found


def _corners(here: Pieces, sides: Pieces, plane: Tensor) -> tuple[Tensor, Tensor]:
    """Return where three functions agree, ``(m, n, 2)`` in each plane: ``here`` ``(m,)`` and two of ``sides``.

    The two are next to each other in their order ``(m, n)``, and so are the last and the first. The second result
    ``(m, n)`` says which corners exist.
    """
    a = (sides.gradients - here.gradients[:, None]) @ plane.mT
    s = here.values[:, None] - sides.at(here.points[:, None])
    b, t = a.roll(-1, dims=1), s.roll(-1, dims=1)
    determinant = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    x, y = s * b[..., 1] - t * a[..., 1], t * a[..., 0] - s * b[..., 0]
    exist = determinant.abs() > SAME * _norms(a) * _norms(b)
    return torch.stack([x, y], dim=2) / torch.where(exist, determinant, 1.0)[..., None], exist


def _planes(gradients: Tensor, rng: torch.Generator) -> Tensor:
    """Return bases ``(m, 2, d)`` of planes that hold each gradient ``(m, d)`` and a random direction; orthonormal."""
    first = gradients / one_where_zero(_norms(gradients))[:, None]
    noise = torch.randn(first.shape, generator=rng, dtype=first.dtype).to(first.device)
    second = noise - (noise * first).sum(dim=1, keepdim=True) * first
    return torch.stack([first, second / one_where_zero(_norms(second))[:, None]], dim=1)


def _circle(turns: Tensor) -> Tensor:
    """Return the points ``(..., 2)`` of the unit circle at ``turns``, in whole turns."""
    return torch.stack([(2 * math.pi * turns).cos(), (2 * math.pi * turns).sin()], dim=-1)


def _norms(vectors: Tensor) -> Tensor:
    """Return the norms ``(...)`` of ``vectors`` ``(..., d)``."""
    norms: Tensor = torch.linalg.vector_norm(vectors, dim=-1)
    return norms
