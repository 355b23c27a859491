"""Lower bound of a network's Lipschitz constant by search: the steepest pair of points that is found."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from lipschitz.estimation.lower_bound.difference_quotients import FINALISTS, STEPS, pairs_along, steepest_quotient
from lipschitz.estimation.lower_bound.gradient_ascent import PointPairs, ascend, random_pairs
from lipschitz.estimation.lower_bound.gradient_norms import (
    POWER_ITERATIONS,
    JacobianNorms,
    Network,
    jacobian_norms,
    outputs_of,
    per_sample,
    sample_norms,
)
from lipschitz.estimation.lower_bound.hill_climb import (
    CHILDREN,
    ROUNDS,
    SteepPoints,
    climb,
    mean_norm,
    scattered_points,
)
from lipschitz.estimation.lower_bound.kink_walk import EVALUATIONS, REGIONS, Pieces, pieces_of, walk
from lipschitz.estimation.lower_bound.network_cost import network_cost
from lipschitz.estimation.lower_bound.smoothed_ascent import steep_points_by_smoothing

SEARCH_OPERATIONS = 4e11
"""Floating-point operations of a search, counted by `network_cost`: half a minute on a core at 32x32, width 64."""
MOST_STARTS = 8192
STARTS_PER_POINT = 20
"""Scattered points for each given one if samples have at most `CLIMB_DIMENSIONS` numbers; else one."""
CLIMB_DIMENSIONS = 32
"""A random step from a steep point hits a steeper one in few dimensions only: with more there is no climb."""
MOST_CLIMBERS = 256
WALK_STARTS = 2048
"""Steepest points that a walk across kinks may start from."""
WHOLE_WALK = 256
"""Number of given points from which a walk is whole."""
PAIRS, LEAST_PAIRS = 48, 8
"""Pairs at the start of the ascent, as many as points: half of two given points, half of a steep point and a partner.
"""
MOST_STEPS, STEPS_AFTER_CLIMB, LEAST_STEPS = 60, 20, 10
STEPS_PER_POINT = 10
"""Steps of the ascent: at most so many for each point."""
PASSES_PER_STEP = 0.8
"""Passes of one sample that a step of the ascent takes for each pair of the start, with its `HALVINGS`."""
STARTS_SHARE, CLIMB_SHARE, ASCENT_SHARE = 0.2, 0.3, 0.3
"""Most of the operations that each phase may take; the phases before the ascent rarely need theirs."""
RANKING_ITERATIONS = 2
"""Steps of power iteration to rank points by their Jacobian, if there are several outputs."""
PARTNER_DISTANCE = 0.1
"""Distance at which a point's partner starts along its gradient, relative to the mean norm of the points."""
MIN_DISTANCES = {torch.float64: 1e-4, torch.float32: 1e-2}
"""Smallest distance of a pair during the ascent, relative to the mean norm of the points, so that rounding does not
lead it astray. What is returned is confirmed at other distances too, see `difference_quotients`."""
SMOOTHED_POINTS, SMOOTHED_SHARE = 2, 0.6
"""Points from which the gradient's norm of the smoothed network is ascended, and the share of the operations."""
SMOOTHED_STEPS, LARGE_NETWORK_STEPS = 60, 240
"""Most steps of that ascent, for a tiny and for a large network: a tiny one is trained in seconds."""
LARGE_NETWORK = 1e5
"""A network is large if a pass of one sample takes more operations than this."""
PASSES_PER_ASCENT = 1.5
"""Passes of one sample, in float64, that a step of that ascent takes, in float32, for each point."""
LINE_POINTS = 5
"""Points on the line between the ends of each remaining pair, ends included, where the Jacobian is evaluated last."""
CONFIRMED_POINTS, CONFIRMED_SHARE = 4, 0.3
"""Steepest points whose slope is confirmed, and the share of the operations: of a costly network fewer points are."""
COSTLY_PASSES = 100
"""A network is costly if the operations allow fewer passes of one sample: its points are confirmed with less effort."""
PASSES_PER_CONFIRMATION = 26
"""Passes of one sample that each of them takes, besides those of power iteration, if there are several outputs."""
ROUNDING_MARGIN = 1e-9
"""A lower bound is further reduced by this share of itself: upper bounds are computed in float64 too."""
UNCONFIRMED = 1e-5
"""Relative difference above which a gradient that difference quotients do not reach is reported."""


class LowerBound(NamedTuple):
    """A difference quotient ‖f(x) - f(y)‖ / ‖x - y‖ that the search found."""

    quotient: float
    """As computed."""
    allowance: float
    """By how much rounding may have raised it; see `difference_quotients` and `ROUNDING_MARGIN`."""
    gradient: float
    """The largest norm of a Jacobian that autograd returned, near the steepest points."""

    @property
    def value(self) -> float:
        """The lower bound: the quotient less the allowance, at least zero."""
        return max(self.quotient - self.allowance, 0.0)

    @property
    def note(self) -> str:
        """A line that says that difference quotients do not confirm autograd, or nothing."""
        if self.gradient * (1 - UNCONFIRMED) <= self.quotient + self.allowance:
            return ""
        return (
            f"autograd returns a slope of {self.gradient:.6g}, which difference quotients do not confirm: they reach "
            f"{self.quotient:.6g}"
        )


NOTHING = LowerBound(0.0, 0.0, 0.0)
"""The lower bound of a network that was not searched."""


def lower_bound(
    net: Network,
    points: Tensor,
    rng: torch.Generator,
    *,
    known: JacobianNorms | None = None,
    share: float = 1.0,
    keep: Callable[[Callable[[], LowerBound]], object] = lambda best_so_far: None,
) -> LowerBound:
    """Return a lower bound of the Lipschitz constant of ``net`` in the Euclidean norm, over all inputs.

    1. The Jacobian at ``points`` and at points scattered around them, at all scales: many, where samples have few
       dimensions.
    2. From the steepest of them, where samples have few dimensions: a walk across the kinks, see `kink_walk`, or with
       several outputs a climb by random steps. Else gradient ascent on the gradient's norm of the network with smoothed
       ReLUs, see `smoothed_ascent`.
    3. Gradient ascent of the quotients ‖f(x) - f(y)‖ / ‖x - y‖ of pairs of points. By the mean value theorem the
       Jacobian is as large at some point of the line between both.
    4. The steepest of all these confirmed: the result is the quotient of two points; see `difference_quotients`.

    How much is tried depends on the number of points, and for a large network on the floating-point operations of one
    pass, never on the clock: the result is the same in every bit for the same arguments and the same device.

    Args:
        net: in eval mode, ``(n, ...)`` -> ``(n, ...)``, each sample independent of the others. With several outputs the
            norm is taken over all of them.
        points: ``(n, ...)``, n > 0, float64, or float32 for a network that takes nothing else: where the search starts.
            It may move away from them.
        rng: the only source of randomness, on the CPU.
        known: the Jacobian at ``points``, where it was computed before.
        share: of `SEARCH_OPERATIONS`, where several searches share them.
        keep: is called once, at the start, with a function that returns the bound by what is found when that function
            is called: for a search that is interrupted.
    """
    points = points.detach()
    plan = _Plan(net, points, share, evaluated=known is not None)
    scale = mean_norm(points)

    steep = SteepPoints(points[:1], JacobianNorms.of(torch.zeros_like(points[:1])))
    even = len(points) // 2 * 2
    pairs = PointPairs(points[:even:2], points[1:even:2]).first(LEAST_PAIRS)

    def confirmed() -> LowerBound:
        return _confirmed(net, steep.first(plan.confirmed), pairs, scale, plan)

    keep(confirmed)

    def jacobian(where: Tensor) -> JacobianNorms:
        return jacobian_norms(net, where, rng, batch=plan.batch, power_iterations=RANKING_ITERATIONS)

    if known is None:
        given = points[torch.randperm(len(points), generator=rng)[: plan.given].to(points.device)]
        steep = SteepPoints(given, jacobian(given))
    else:
        steep = SteepPoints(points, known)
    if plan.scattered:
        scattered = scattered_points(points, plan.scattered, rng)
        steep = steep.with_others(scattered, jacobian(scattered))
    if plan.climbers:
        ended = climb(jacobian, steep.first(plan.climbers), scale, rng)
        steep = steep.with_others(ended.points, ended.found)
    if plan.walk:
        met = _walk(net, steep.first(WALK_STARTS).points, plan, scale, rng)
        where, gradients = (part.view(-1, *points.shape[1:]) for part in (met.points, met.gradients))
        steep = steep.with_others(where, JacobianNorms.of(gradients))
    if plan.smoothed:
        smoothed = steep_points_by_smoothing(net, steep.first(plan.smoothed).points, scale, plan.smoothed_steps)
        if smoothed is not None:
            steep = steep.with_others(smoothed, jacobian(smoothed))
    pairs = _start_pairs(points, steep, plan.pairs, scale, rng)
    noise = torch.randn(pairs.x.shape, generator=rng, dtype=points.dtype).to(points.device)
    min_gap = MIN_DISTANCES[points.dtype] * scale * noise / per_sample(sample_norms(noise), noise)
    pairs, _ = ascend(net, pairs, min_gap, plan.steps)
    shares = torch.linspace(0, 1, LINE_POINTS, dtype=points.dtype).tolist()
    between = torch.cat([torch.lerp(pairs.x, pairs.y, share) for share in shares])
    steep = steep.with_others(between, jacobian(between)).first(plan.confirmed)
    if plan.several_outputs:
        found = jacobian_norms(net, steep.points, rng, batch=plan.batch, power_iterations=plan.power_iterations)
        steep = SteepPoints(steep.points, found)
    return confirmed()


def _walk(net: Network, points: Tensor, plan: "_Plan", scale: float, rng: torch.Generator) -> Pieces:
    """Return what a walk from ``points`` ``(n, ...)`` meets, as pieces with flattened points."""

    def evaluate(where: Tensor) -> Pieces:
        parts = [pieces_of(net, part.view(-1, *points.shape[1:])) for part in torch.split(where, plan.batch)]
        return Pieces(*(torch.cat(of_parts) for of_parts in zip(*parts, strict=True)))

    return walk(evaluate, evaluate(points.flatten(1)), scale, rng, share=plan.walk)


class _Plan:
    """How many points, pairs and steps a search tries."""

    def __init__(self, net: Network, points: Tensor, share: float, *, evaluated: bool) -> None:
        cost = network_cost(net, points)
        with torch.no_grad():
            self.several_outputs = outputs_of(net, points[:1]).shape[1] > 1
        self.batch = cost.batch
        passes = share * SEARCH_OPERATIONS / cost.operations
        # A step of power iteration is two forward passes and one backward, and an operation count is of one of each.
        each = 1 + 1.5 * RANKING_ITERATIONS * self.several_outputs
        few_dimensions = points[0].numel() <= CLIMB_DIMENSIONS
        self.smoothed = 0 if self.several_outputs or few_dimensions else SMOOTHED_POINTS
        ascent_steps = LARGE_NETWORK_STEPS if cost.operations > LARGE_NETWORK else SMOOTHED_STEPS
        affordable_steps = int(SMOOTHED_SHARE * passes / (SMOOTHED_POINTS * PASSES_PER_ASCENT))
        self.smoothed_steps = min(ascent_steps, len(points), affordable_steps)
        per_point = PASSES_PER_CONFIRMATION + 1.5 * POWER_ITERATIONS * self.several_outputs
        self.confirmed = min(max(int(CONFIRMED_SHARE * passes / per_point), 1), CONFIRMED_POINTS)
        costly = passes < COSTLY_PASSES
        self.power_iterations = POWER_ITERATIONS // 3 if costly else POWER_ITERATIONS
        self.distances = STEPS[::2] if costly else STEPS
        starts = int(STARTS_SHARE * passes / each)
        self.given = 0 if evaluated else min(len(points), max(starts, LEAST_PAIRS // 2 if costly else LEAST_PAIRS))
        wanted = min(MOST_STARTS, len(points) * (STARTS_PER_POINT if few_dimensions else 1))
        self.scattered = max(min(wanted, starts - self.given), 0)
        climbers = min(MOST_CLIMBERS, len(points), int(CLIMB_SHARE * passes / each / (CHILDREN * ROUNDS)))
        self.climbers = climbers if few_dimensions and self.several_outputs else 0
        affordable = CLIMB_SHARE * passes / EVALUATIONS
        can_walk = few_dimensions and not self.several_outputs and affordable * max(REGIONS) >= 1
        self.walk = min(len(points) / WHOLE_WALK, affordable, 1.0) if can_walk else 0.0
        ascent = int(ASCENT_SHARE * passes / PASSES_PER_STEP)
        affordable = max(min(ascent // (MOST_STEPS // 2), self.batch // 2), 2)
        self.pairs = min(PAIRS, max(len(points), LEAST_PAIRS), affordable)
        steps = ascent // self.pairs
        most = STEPS_AFTER_CLIMB if few_dimensions else min(MOST_STEPS, STEPS_PER_POINT * len(points))
        self.steps = min(max(steps, LEAST_STEPS), most)


def _start_pairs(points: Tensor, steep: SteepPoints, n: int, scale: float, rng: torch.Generator) -> PointPairs:
    """Return ``n`` pairs: half of two of ``points``, half of a steep point and a partner along its gradient."""
    apart = random_pairs(points, n // 2, rng)
    order = torch.arange(n - n // 2, device=points.device) % len(steep)
    near = steep.points[order]
    return apart.joined(PointPairs(near, near + PARTNER_DISTANCE * scale * steep.found.directions[order]))


def _confirmed(net: Network, steep: SteepPoints, pairs: PointPairs, scale: float, plan: _Plan) -> LowerBound:
    candidates = pairs.joined(pairs_along(steep.points, steep.found, scale, plan.distances))
    if not len(candidates.x):
        return NOTHING
    quotient = steepest_quotient(net, candidates, plan.batch, FINALISTS * plan.confirmed // CONFIRMED_POINTS)
    allowance = quotient.allowance + ROUNDING_MARGIN * quotient.value
    gradient = float(steep.found.norms[0])
    return LowerBound(quotient.value, allowance, gradient if math.isfinite(gradient) else 0.0)
