"""Confirm a slope that autograd gives by difference quotients of outputs, less an allowance for rounding.

Autograd is not proof: at a kink, x - relu(x) + relu(-x) at zero, it may return the slope of no side, and a custom
backward may return anything. ‖f(x) - f(y)‖ / ‖x - y‖ of any two points is a lower bound of the Lipschitz constant.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lipschitz.estimation.lower_bound.gradient_ascent import PointPairs
from lipschitz.estimation.lower_bound.gradient_norms import (
    JacobianNorms,
    Network,
    outputs_of,
    per_sample,
    sample_norms,
)
from lipschitz.estimation.lower_bound.rounding_error import rounding_errors

STEPS = tuple(10.0**-power for power in range(9))
"""Distances along the gradient, relative to the norm of the point: a network may be steep over a short distance only,
and over a long one rounding counts less."""
FINALISTS = 8
"""Most pairs whose rounding error is estimated pair by pair."""


class Quotient(NamedTuple):
    """A difference quotient of two points."""

    value: float
    """‖f(x) - f(y)‖ / ‖x - y‖, as computed."""
    allowance: float
    """(e(x) + e(y)) / ‖x - y‖, with e the rounding error of `rounding_errors`."""


def steepest_quotient(net: Network, pairs: PointPairs, batch: int, finalists: int = FINALISTS) -> Quotient:
    """Return the quotient of the pair for which value - allowance is largest.

    ``finalists``: how many pairs, those with the largest values, have their rounding error estimated pair by pair.
    """
    points = torch.cat(pairs)
    with torch.no_grad():
        a, b = torch.cat([outputs_of(net, part) for part in torch.split(points, batch)]).chunk(2)
    distances = pairs.distances()
    values = (sample_norms(a - b) / distances).nan_to_num(nan=0.0, posinf=0.0)
    # The error differs little between pairs: the largest of the first ones serves to choose among all.
    guess = 2 * rounding_errors(net, pairs.first(finalists).x).max() / distances
    best = (values - guess).nan_to_num(nan=-torch.inf).argsort(descending=True, stable=True)[:finalists]
    x, y = rounding_errors(net, torch.cat([pairs.x[best], pairs.y[best]])).chunk(2)
    allowances = ((x + y) / distances[best]).nan_to_num(nan=torch.inf)
    chosen = (values[best] - allowances).argmax()
    return Quotient(float(values[best][chosen]), float(allowances[chosen]))


def pairs_along(points: Tensor, found: JacobianNorms, scale: float, steps: Sequence[float] = STEPS) -> PointPairs:
    """Return pairs on the line through each of ``points`` ``(n, ...)`` in its steepest direction, at all ``steps``.

    For each step h: (x - h/2, x + h/2), which is exact to second order in a smooth network, and (x, x + h/2) and
    (x - h/2, x), which are exact next to a kink. ``scale``: least norm that steps are relative to.
    """
    size = per_sample(sample_norms(points).clamp_min(scale), points)
    pairs = []
    for step in steps:
        half = found.directions * size * (step / 2)
        below, above = points - half, points + half
        pairs += [PointPairs(below, above), PointPairs(points, above), PointPairs(below, points)]
    x, y = torch.cat([pair.x for pair in pairs]), torch.cat([pair.y for pair in pairs])
    apart = sample_norms(x - y) > 0
    return PointPairs(x[apart], y[apart])
