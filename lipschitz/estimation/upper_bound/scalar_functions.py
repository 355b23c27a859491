"""Bound elementwise functions that are made of several operators, such as x sigmoid(x) or where(x > 0, x, a x)."""

from lipschitz.estimation.upper_bound.traced_call import Call, Step


def scalar_step(call: Call) -> Step | None:
    """Return the call's output as an elementwise function of one earlier value, or None."""
    return None
