"""Lipschitz constants of functions of several values: sums (skip connections), concatenation, products, attention."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lipschitz.estimation.upper_bound.residual_layers import residual_layer_constant
from lipschitz.estimation.upper_bound.traced_call import Call, LipschitzConstant, Slopes, TracedValue, product

ATTENTION = (
    "dot-product attention, which is not globally Lipschitz (Kim, Papamakarios & Mnih 2021, The Lipschitz Constant of "
    "Self-Attention, arXiv:2006.04710)"
)
OTHER_ARGUMENTS = LipschitzConstant(math.inf, "is not known with these arguments")


def sum_constant(call: Call) -> LipschitzConstant:
    """Sum or difference, as in a skip connection: the sum of the constants. Numbers and parameters add nothing.

    A residual layer x + s Wᵀ act(W x + b) may have a smaller one; see `residual_layer_constant`.
    """
    alpha = added_multiple(call)
    if alpha is None:
        return OTHER_ARGUMENTS
    scaled = call.arguments[0 if call.name == "rsub" else 1]
    factors = [abs(alpha) if part.value is scaled and alpha != 1 else 1.0 for part in call.inputs]
    if len(call.inputs) == 2:
        # By their places: both may be one tensor, as x + α dropout(x) in eval mode.
        factors = [abs(alpha), 1.0] if call.name == "rsub" else [1.0, abs(alpha)]
    total = math.fsum(map(product, factors, _broadcast_constants(call)))
    if len(call.inputs) == 2:
        sign = 1.0 if call.name == "add" else -1.0
        signed = [sign * alpha, 1.0] if call.name == "rsub" else [1.0, sign * alpha]
        return LipschitzConstant(min(total, residual_layer_constant(list(zip(signed, call.inputs, strict=True)))))
    if len(call.inputs) > 1:
        return LipschitzConstant(total)
    (factor,) = factors
    sign = -1.0 if call.name != "add" and call.inputs[0].value is scaled else 1.0
    repeated = math.sqrt(call.output.numel() / max(call.inputs[0].value.numel(), 1))
    slopes = Slopes(sign * factor, sign * factor) if repeated == 1 else None
    return call.affine(factor * repeated, slopes=slopes)


def added_multiple(call: Call) -> float | None:
    """Return α of x + α y, x - α y or, for rsub, of y - α x; None if that is no number."""
    alpha = call.arguments[2] if len(call.arguments) > 2 else call.keywords.get("alpha", 1)
    return alpha if isinstance(alpha, int | float) else None


def maximum_constant(call: Call) -> LipschitzConstant:
    """Elementwise maximum of several values, and others whose gradient by them has at most the norm one.

    The root of the sum of the squared constants.
    """
    return LipschitzConstant(math.hypot(*_broadcast_constants(call)))


def concatenation_constant(call: Call) -> LipschitzConstant:
    """Concatenation of several values: the root of the sum of the squared constants."""
    return LipschitzConstant(math.hypot(*(part.constant for part in call.inputs)))


def product_constant(call: Call) -> LipschitzConstant:
    """Product with a number or a parameter: the largest absolute value of that factor, times the constant."""
    if len(call.inputs) > 1:
        return LipschitzConstant(math.inf, "multiplies two values that both depend on the input")
    return _scaled(call, lambda other: other)


def quotient_constant(call: Call) -> LipschitzConstant:
    """Quotient by a number or a parameter: the constant divided by its smallest absolute value."""
    if not call.is_unary() or call.name == "reciprocal":
        return LipschitzConstant(math.inf, "divides by a value that depends on the input")
    return _scaled(call, lambda other: 1 / other)


def interpolation_constant(call: Call) -> LipschitzConstant:
    """lerp(x, y, w) = (1 - w) x + w y, where w does not depend on the input."""
    weight = torch.as_tensor(call.arguments[2], dtype=call.output.dtype)
    if any(part.value is call.arguments[2] for part in call.inputs):
        return LipschitzConstant(math.inf, "multiplies two values that both depend on the input")
    shares = [float((1 - weight).abs().max()), float(weight.abs().max())]
    pairs = zip(shares, call.arguments[:2], strict=True)
    given = [(share, part) for share, value in pairs for part in _of_value(call, value)]
    return LipschitzConstant(math.fsum(product(share, _broadcast_constant(call, part)) for share, part in given))


def selection_constant(call: Call) -> LipschitzConstant:
    """where(condition, x, y) with a constant condition: the root of the sum of the squared constants."""
    if _of_value(call, call.arguments[0]):
        return LipschitzConstant(math.inf, "selects by a condition on values, so it may jump")
    return LipschitzConstant(math.hypot(*_broadcast_constants(call)))


def replacement_constant(call: Call) -> LipschitzConstant:
    """A value, a part of which is replaced by another one: the root of the sum of the squared constants."""
    replaced, part = call.arguments[:2]
    given = [*_of_value(call, replaced), *_of_value(call, part)]
    return LipschitzConstant(math.hypot(*(value.constant for value in given)))


def copy_constant(call: Call) -> LipschitzConstant:
    """copy(x, y) is y in the shape of x."""
    given = _of_value(call, call.arguments[1])
    return LipschitzConstant(math.fsum(_broadcast_constant(call, value) for value in given))


def attention_constant(call: Call) -> LipschitzConstant:
    """Dot-product attention, softmax(Q Kᵀ) V: infinite."""
    return LipschitzConstant(math.inf, f"is {ATTENTION}")


SUMS_AND_PRODUCTS: dict[str, Callable[[Call], LipschitzConstant]] = {
    **dict.fromkeys(("add", "sub", "subtract", "rsub"), sum_constant),
    **dict.fromkeys(("maximum", "minimum", "fmax", "fmin", "hypot", "logaddexp"), maximum_constant),
    **dict.fromkeys(("cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack"), concatenation_constant),
    **dict.fromkeys(("mul", "multiply"), product_constant),
    **dict.fromkeys(("div", "divide", "true_divide", "reciprocal"), quotient_constant),
    **dict.fromkeys(
        ("scaled_dot_product_attention", "_native_multi_head_attention", "_transformer_encoder_layer_fwd"),
        attention_constant,
    ),
    **dict.fromkeys(("select_scatter", "slice_scatter", "diagonal_scatter"), replacement_constant),
    **dict.fromkeys(("copy", "fill"), copy_constant),
    "lerp": interpolation_constant,
    "where": selection_constant,
}
"""Rules by ATen's name of the function."""


def _of_value(call: Call, value: Any) -> list[TracedValue]:
    """Return the input whose value this is, or nothing if it does not depend on the network's input."""
    return [part for part in call.inputs if part.value is value][:1]


def _broadcast_constants(call: Call) -> list[float]:
    return [_broadcast_constant(call, part) for part in call.inputs]


def _broadcast_constant(call: Call, part: TracedValue) -> float:
    """Return the constant of an input times √r, where r is how often broadcasting repeats it in the output."""
    return product(part.constant, math.sqrt(call.output.numel() / max(part.value.numel(), 1)))


def _scaled(call: Call, multiplier: Callable[[Tensor], Tensor]) -> LipschitzConstant:
    """Return the input's constant times the largest absolute value of ``multiplier(other argument)``."""
    others = [value for value in call.arguments if value is not call.inputs[0].value]
    if call.keywords or len(call.arguments) != 2 or len(others) != 1:
        return OTHER_ARGUMENTS
    factors = multiplier(torch.as_tensor(others[0], dtype=call.output.dtype))
    slopes = Slopes(float(factors.min()), float(factors.max()))
    if slopes.constant == 0:
        # The product is zero, also where the input has no Lipschitz constant: a part that is switched off.
        return LipschitzConstant(0.0)
    repeated = math.sqrt(call.output.numel() / max(call.inputs[0].value.numel(), 1))
    return call.affine(product(slopes.constant, repeated), slopes=slopes if repeated == 1 else None)
