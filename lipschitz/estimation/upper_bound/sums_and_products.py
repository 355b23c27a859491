"""Lipschitz constants of functions of several values: sums (skip connections), concatenation, products, attention."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lipschitz.estimation.upper_bound.traced_call import Call, LipschitzConstant, product, tensors_in

ATTENTION = (
    "dot-product attention, which is not globally Lipschitz (Kim, Papamakarios & Mnih 2021, The Lipschitz Constant of "
    "Self-Attention, arXiv:2006.04710)"
)


def sum_constant(call: Call) -> LipschitzConstant:
    """Sum or difference, as in a skip connection: the sum of the constants. Numbers and parameters add nothing."""
    if call.keywords or len(call.arguments) > 2:
        return LipschitzConstant(math.inf, "is not known with these arguments")
    return LipschitzConstant(math.fsum(_broadcast_constants(call)))


def maximum_constant(call: Call) -> LipschitzConstant:
    """Elementwise maximum or minimum of several values: the root of the sum of the squared constants."""
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
    if call.keywords or not call.is_unary():
        return LipschitzConstant(math.inf, "divides by a value that depends on the input")
    return _scaled(call, lambda other: 1 / other)


def matrix_product_constant(call: Call) -> LipschitzConstant:
    """Matrix product with a constant matrix: its spectral norm, times the constant. Infinite for two values."""
    if len(call.inputs) > 1:
        return LipschitzConstant(math.inf, f"multiplies two values that both depend on the input, as in {ATTENTION}")
    matrices = [value for value in tensors_in(call.arguments) if value is not call.inputs[0].value]
    if call.name not in ("matmul", "mm") or len(matrices) != 1 or matrices[0].dim() != 2:
        return LipschitzConstant(math.inf, "is not known with these arguments")
    return LipschitzConstant(call.times_input_constant(float(torch.linalg.matrix_norm(matrices[0], 2))))


def attention_constant(call: Call) -> LipschitzConstant:
    """Dot-product attention, softmax(Q Kᵀ) V: infinite."""
    return LipschitzConstant(math.inf, f"is {ATTENTION}")


SUMS_AND_PRODUCTS: dict[str, Callable[[Call], LipschitzConstant]] = {
    **dict.fromkeys(("add", "add_", "iadd", "sub", "sub_", "isub", "subtract"), sum_constant),
    **dict.fromkeys(("maximum", "minimum"), maximum_constant),
    **dict.fromkeys(("cat", "concat", "concatenate", "stack", "hstack", "vstack"), concatenation_constant),
    **dict.fromkeys(("mul", "mul_", "imul", "multiply"), product_constant),
    **dict.fromkeys(("div", "div_", "itruediv", "truediv", "divide", "true_divide"), quotient_constant),
    **dict.fromkeys(("matmul", "mm", "bmm", "einsum", "baddbmm", "tensordot"), matrix_product_constant),
    "scaled_dot_product_attention": attention_constant,
}
"""Rules by torch's name of the function."""


def _broadcast_constants(call: Call) -> list[float]:
    """Return the constant of each input times √r, where r is how often broadcasting repeats it in the output."""
    size = call.output.numel()
    return [product(part.constant, math.sqrt(size / max(part.value.numel(), 1))) for part in call.inputs]


def _scaled(call: Call, multiplier: Callable[[Tensor], Tensor]) -> LipschitzConstant:
    """Return the input's constant times the largest absolute value of ``multiplier(other argument)``."""
    others = [value for value in call.arguments if value is not call.inputs[0].value]
    if call.keywords or len(call.arguments) != 2 or len(others) != 1:
        return LipschitzConstant(math.inf, "is not known with these arguments")
    largest = float(multiplier(torch.as_tensor(others[0], dtype=call.output.dtype)).abs().max())
    (constant,) = _broadcast_constants(call)
    return LipschitzConstant(product(largest, constant))
