"""Bracket of a Lipschitz constant: a lower and an upper bound put together, and what it means if they contradict."""

import math


def ordered_bounds(lower: float, upper: float) -> tuple[float, float, str]:
    """Return (lower, upper, note), with an infinite upper bound and a note where ``lower`` exceeds ``upper``.

    Bounds are never made equal. Rounding is not a reason: ``lower`` is a difference quotient of two outputs less an
    allowance for rounding, see `lipschitz.estimation.lower_bound.search.LowerBound`. So a larger one proves that the
    upper bound is wrong.
    """
    if lower <= upper:
        return lower, upper, ""
    return lower, math.inf, contradiction(lower, upper)


def contradiction(lower: float, upper: float) -> str:
    """Return a line that names both bounds; in tests of the package it is an error."""
    return f"two points with a slope of {lower:.6g} contradict the upper bound of {upper:.6g}, which is not valid"


def bound_ratio(lower: float, upper: float) -> float:
    """Return ``upper / lower``: one where the bounds are equal, infinity where ``lower`` is zero and ``upper`` not."""
    if upper == lower:
        return 1.0
    return upper / lower if lower > 0 else math.inf
