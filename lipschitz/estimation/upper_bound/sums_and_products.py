"""Where several values meet: residual sums, concatenation, products."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lipschitz.estimation.upper_bound.traced_call import Call, Factor, product, tensors

ATTENTION = (
    "dot-product attention, which is not globally Lipschitz (Kim, Papamakarios & Mnih 2021, The Lipschitz Constant of "
    "Self-Attention, arXiv:2006.04710)"
)


def added(call: Call) -> Factor:
    """A skip connection and its branch: the sum of the constants. A number or a parameter adds nothing."""
    if call.keywords or len(call.arguments) > 2:
        return Factor(math.inf, "is not known with these arguments")
    return Factor(math.fsum(_broadcast(call)))


def selected(call: Call) -> Factor:
    """In each place one of several values: the root of the sum of squares."""
    return Factor(math.hypot(*_broadcast(call)))


def concatenated(call: Call) -> Factor:
    """Parts side by side: the root of the sum of squares."""
    return Factor(math.hypot(*(part.constant for part in call.inputs)))


def multiplied(call: Call) -> Factor:
    """A value times a number or a parameter: the largest absolute value of that."""
    if len(call.inputs) > 1:
        return Factor(math.inf, "multiplies two values that both depend on the input")
    return _scaled(call, lambda other: other)


def divided(call: Call) -> Factor:
    """A value divided by a number or a parameter."""
    if call.keywords or not call.unary():
        return Factor(math.inf, "divides by a value that depends on the input")
    return _scaled(call, lambda other: 1 / other)


def matrix_product(call: Call) -> Factor:
    """A matrix product: of a value with a constant matrix that matrix's norm; of two values no constant."""
    if len(call.inputs) > 1:
        return Factor(math.inf, f"multiplies two values that both depend on the input, as in {ATTENTION}")
    matrices = [value for value in tensors(call.arguments) if value is not call.inputs[0].value]
    if call.name not in ("matmul", "mm") or len(matrices) != 1 or matrices[0].dim() != 2:
        return Factor(math.inf, "is not known with these arguments")
    return Factor(call.times(float(torch.linalg.matrix_norm(matrices[0], 2))))


def attention(call: Call) -> Factor:
    """Softmax(Q Kᵀ) V."""
    return Factor(math.inf, f"is {ATTENTION}")


RULES: dict[str, Callable[[Call], Factor]] = {
    **dict.fromkeys(("add", "add_", "iadd", "sub", "sub_", "isub", "subtract"), added),
    **dict.fromkeys(("maximum", "minimum"), selected),
    **dict.fromkeys(("cat", "concat", "concatenate", "stack", "hstack", "vstack"), concatenated),
    **dict.fromkeys(("mul", "mul_", "imul", "multiply"), multiplied),
    **dict.fromkeys(("div", "div_", "itruediv", "truediv", "divide", "true_divide"), divided),
    **dict.fromkeys(("matmul", "mm", "bmm", "einsum", "baddbmm", "tensordot"), matrix_product),
    "scaled_dot_product_attention": attention,
}
"""By torch's name of the function."""


def _broadcast(call: Call) -> list[float]:
    """Return the constant of each input, times the root of how often broadcasting repeats it in the output."""
    size = call.output.numel()
    return [product(part.constant, math.sqrt(size / max(part.value.numel(), 1))) for part in call.inputs]


def _scaled(call: Call, of: Callable[[Tensor], Tensor]) -> Factor:
    """Return the input's constant times the largest absolute value of ``of(the other factor)``."""
    others = [value for value in call.arguments if value is not call.inputs[0].value]
    if call.keywords or len(call.arguments) != 2 or len(others) != 1:
        return Factor(math.inf, "is not known with these arguments")
    largest = float(of(torch.as_tensor(others[0], dtype=call.output.dtype)).abs().max())
    (constant,) = _broadcast(call)
    return Factor(product(largest, constant))
