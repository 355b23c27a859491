"""The two ends of a bracket around a Lipschitz constant, put together."""

import math


def in_order(lower: float, upper: float) -> tuple[float, float, str]:
    """Return lower <= upper, and what to say where they were not: rounding, never more is mended.

    A difference of two outputs loses what the hidden values' rounding takes, which grows with them and not with their
    differences: a network with offsets of 10⁸ between its layers may seem steeper than it can be.
    """
    if lower <= upper:
        return lower, upper, ""
    said = f"found {lower:.6g}, above the certified bound, by rounding of large values inside the network"
    return upper, upper, said


def ratio(lower: float, upper: float) -> float:
    """Return how many times ``upper`` is ``lower``: one where the constant is known, infinite where nothing is."""
    if upper == lower:
        return 1.0
    return upper / lower if lower > 0 else math.inf
