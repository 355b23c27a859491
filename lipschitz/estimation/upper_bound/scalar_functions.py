"""Bound elementwise functions that are made of several operators, such as x sigmoid(x) or where(x > 0, x, a x)."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from lipschitz.estimation.upper_bound.activation_slopes import ACTIVATION_FUNCTIONS, IDENTITY, INCREASING
from lipschitz.estimation.upper_bound.pooling_and_reshaping import IDENTITIES
from lipschitz.estimation.upper_bound.sums_and_products import added_multiple
from lipschitz.estimation.upper_bound.traced_call import Call, Slopes, Step, TracedValue

COMPARISONS = ("gt", "ge", "lt", "le", "greater", "greater_equal", "less", "less_equal")
ZERO = Slopes(0.0, 0.0)
JUMP = 1e-12
"""Largest difference at the threshold of a condition that counts as rounding, relative to the two values there."""


def scalar_step(call: Call) -> Step | None:
    """Return the output as an elementwise function of one earlier value, if its slopes can be bounded.

    Every argument that depends on the network's input must be an elementwise function of one and the same earlier
    value, in the shape of the output.
    """
    if not isinstance(call.output, Tensor) or call.keywords.keys() - {"alpha"}:
        return None  # A rounding mode of a quotient makes it jump.
    rule = RULES.get(call.name)
    return rule(call) if rule is not None else None


def _sum(call: Call) -> Step | None:
    alpha = added_multiple(call)
    if len(call.inputs) != 2 or alpha is None:
        return None
    # rsub(x, y) is y - α x.
    left, right = call.inputs if call.name != "rsub" else call.inputs[::-1]
    factor = Slopes(alpha, alpha) if call.name == "add" else Slopes(-alpha, -alpha)

    def add(a: Slopes, b: Slopes) -> Slopes:
        b = factor.after(b)
        return Slopes(a.low + b.low, a.high + b.high)

    return _of_common_source(call, [left, right], lambda slopes: add(*slopes))


def _extremum(call: Call) -> Step | None:
    # A constant argument has the slope zero.
    constants = [] if len(call.inputs) == 2 else [ZERO]
    return _of_common_source(call, call.inputs, lambda slopes: slopes[0].hull(*slopes[1:], *constants))


def _selection(call: Call) -> Step | None:
    """where(u > c, a(u), b(u)): continuous if a(c) = b(c), and then its slopes are those of a and b."""
    condition, chosen, other = call.arguments
    return _selected(call, condition, chosen, other)


def _filled(call: Call) -> Step | None:
    """masked_fill(x, condition, c) is where(condition, c, x)."""
    values, condition, filling = call.arguments
    return _selected(call, condition, filling, values)


def _product(call: Call) -> Step | None:
    if len(call.inputs) != 2 or not all(_has_shape(part, call) for part in call.inputs):
        return None
    for gated, gate in (call.inputs, call.inputs[::-1]):
        if gate.value.dtype == torch.bool or _condition_of(gate) is not None:
            return _selected(call, gate.value, gated.value, 0.0)
        for name, inside in GATES:
            argument = _argument(gate, inside)
            # x σ(β x) is SiLU of β x, divided by β.
            if argument is not None and (argument is gated or (name == "silu" and _multiple_of(argument) is gated)):
                return Step(gated, ACTIVATION_FUNCTIONS[name]())
        if (found := _gelu(gated, gate)) is not None:
            return found
    return None


def _gelu(gated: TracedValue, gate: TracedValue) -> Step | None:
    """c x (1 + erf(a x)) is c / (a √(1/2)) times GELU of a √2 x, so its slopes are 2 c times those of GELU."""
    call = gate.call
    if call is None or call.name != "add" or call.keywords or len(call.inputs) != 1:
        return None
    if [value for value in call.arguments if isinstance(value, int | float)] != [1]:
        return None
    inside = _argument(call.inputs[0], ("erf",))
    if inside is None:
        return None
    (source, factor), (same, inner) = _multiple(gated), _multiple(inside)
    if source is not same or inner == 0:
        return None
    slopes = Slopes(2 * factor, 2 * factor).after(ACTIVATION_FUNCTIONS["gelu"]())
    return Step(source, slopes)


def _quotient(call: Call) -> Step | None:
    """Softsign, x / (1 + |x|)."""
    if len(call.inputs) != 2 or (divisor := call.inputs[1].call) is None or not _has_shape(call.inputs[1], call):
        return None
    numbers = [value for value in divisor.arguments if isinstance(value, int | float)]
    if divisor.name != "add" or numbers != [1] or divisor.keywords or len(divisor.inputs) != 1:
        return None
    numerator = call.inputs[0]
    return Step(numerator, INCREASING) if _argument(divisor.inputs[0], ("abs",)) is numerator else None


RULES: dict[str, Callable[[Call], Step | None]] = {
    **dict.fromkeys(("add", "sub", "subtract", "rsub"), _sum),
    **dict.fromkeys(("maximum", "minimum", "fmax", "fmin"), _extremum),
    "where": _selection,
    "masked_fill": _filled,
    "mul": _product,
    "div": _quotient,
}
GATES = (("silu", ("sigmoid",)), ("mish", ("tanh", "softplus")))
"""Activations x g(x), and the names of the functions that g is made of, the outermost first."""


def _argument(value: TracedValue, names: tuple[str, ...]) -> TracedValue | None:
    """Return x if ``value`` is f(g(...(x))) with functions of these names and no other arguments."""
    for name in names:
        if value.call is None or value.call.name != name or len(value.call.arguments) != 1 or value.call.keywords:
            return None
        value = value.call.inputs[0]
    return value


def _multiple(value: TracedValue) -> tuple[TracedValue, float]:
    """Return (x, c) such that ``value`` is c x; c is one, if it is no product with a number."""
    factor = 1.0
    while (call := value.call) is not None and call.name in ("mul", "div") and call.is_unary() and not call.keywords:
        number = call.arguments[1]
        if not isinstance(number, int | float) or number == 0:
            break
        factor = factor * number if call.name == "mul" else factor / number
        value = call.inputs[0]
    return value, factor


def _multiple_of(value: TracedValue) -> TracedValue | None:
    """Return x if ``value`` is x times a number."""
    call = value.call
    if call is None or call.name != "mul" or not call.is_unary() or not isinstance(call.arguments[1], int | float):
        return None
    return call.inputs[0]


def _of_common_source(
    call: Call, parts: tuple[TracedValue, ...] | list[TracedValue], combine: Callable[[list[Slopes]], Slopes]
) -> Step | None:
    chains = [dict(_sources(part)) for part in parts if _has_shape(part, call)]
    if len(chains) == len(parts):
        for source, slopes in chains[0].items():
            if all(source in chain for chain in chains[1:]):
                return Step(source, combine([slopes, *(chain[source] for chain in chains[1:])]))
    return None


def _selected(call: Call, condition: Any, chosen: Any, other: Any) -> Step | None:
    traced = {id(part.value): part for part in call.inputs}
    found = _condition_of(traced[id(condition)]) if id(condition) in traced else None
    if found is None or not _has_shape(found[0], call):
        return None
    source, threshold = found
    at_threshold, slopes = [], []
    start = torch.broadcast_to(torch.as_tensor(threshold).to(source.value), source.value.shape)
    for value in (chosen, other):
        part = traced.get(id(value))
        chain = {source: ZERO} if part is None else dict(_sources(part)) if _has_shape(part, call) else {}
        if source not in chain:
            return None
        slopes.append(chain[source])
        at_threshold.append(torch.as_tensor(value).to(start) if part is None else _evaluated(part, source, start))
    a, b = at_threshold
    jump, size = (a - b).abs(), torch.maximum(a.abs(), b.abs())
    return Step(source, slopes[0].hull(slopes[1])) if bool((jump <= JUMP * size).all()) else None


def _condition_of(value: TracedValue) -> tuple[TracedValue, Any] | None:
    """Return (u, c) if ``value`` is the truth of u > c or of another comparison, as a number or not."""
    while value.call is not None and value.call.name in IDENTITIES:
        value = value.call.inputs[0]
    call = value.call
    if call is None or call.name not in COMPARISONS or not call.is_unary() or value.value.shape != call.input.shape:
        return None
    return call.inputs[0], call.arguments[1]


def _sources(value: TracedValue) -> Iterator[tuple[TracedValue, Slopes]]:
    """Yield the earlier values of which ``value`` is an elementwise function, the last first, with its slopes."""
    slopes = IDENTITY
    while True:
        yield value, slopes
        step = value.step
        if step is None or step.slopes is None or not math.isfinite(step.slopes.constant):
            return
        value, slopes = step.source, slopes.after(step.slopes)


def _evaluated(value: TracedValue, source: TracedValue, x: Tensor) -> Tensor:
    """Return ``value`` where ``source`` is ``x``."""
    if value is source:
        return x
    assert value.call is not None
    replaced = {id(part.value): _evaluated(part, source, x) for part in value.call.inputs}
    output: Tensor = value.call.with_values(replaced)
    return output


def _has_shape(part: TracedValue, call: Call) -> bool:
    return isinstance(part.value, Tensor) and part.value.shape == call.output.shape
