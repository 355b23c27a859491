"""Lipschitz constants of linear layers, convolutions and matrix products with a weight that is a constant."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lipschitz.estimation.upper_bound.gram_iteration import spectral_norm_bound
from lipschitz.estimation.upper_bound.nonnegative_maps import nonnegative_norm
from lipschitz.estimation.upper_bound.operator_bounds import MAX_DENSE_ENTRIES, OperatorBounds
from lipschitz.estimation.upper_bound.polyphase import Kernel
from lipschitz.estimation.upper_bound.sums_and_products import ATTENTION
from lipschitz.estimation.upper_bound.traced_call import Call, LinearMap, LipschitzConstant, product

TWO_VALUES = f"multiplies two values that both depend on the input, as in {ATTENTION}"


def linear_layer_constant(call: Call, operators: OperatorBounds) -> LipschitzConstant:
    """A linear layer or a convolution, by the bound of its weight at the size of its input."""
    if len(call.inputs) > 1:
        return LipschitzConstant(math.inf, TWO_VALUES)
    if not call.is_unary():
        return LipschitzConstant(math.inf, "has a weight that depends on the input")
    kernel = KERNELS[call.name](*call.arguments[1:], **call.keywords)
    if not kernel.weight.any():
        return LipschitzConstant(0.0)
    # In front of the channels there are batch axes, over which the operator is block diagonal.
    linear = LinearMap(kernel.apply, kernel)
    shape = tuple(call.input.shape[-kernel.dimensions - 1 :])
    found = call.affine(operators.bound(kernel, shape), linear)
    before = call.inputs[0].step
    if before is not None and before.linear is not None and before.linear.padding is not None:
        unpadded = before.source.value.shape[-kernel.dimensions - 1 :]
        norm = operators.bound(kernel, unpadded, before.linear.padding)
        return found._replace(constant=min(found.constant, product(norm, before.source.constant)))
    return found


def matrix_product_constant(call: Call) -> LipschitzConstant:
    """A product that is linear in its only input, such as matmul or einsum with constant tensors.

    The norm of the dense matrix where that is small. Otherwise the norm of the map with the absolute values of the
    constants: each entry of the matrix is a sum of products of constants, so its absolute value is at most the entry of
    that map.
    """
    if len(call.inputs) > 1:
        return LipschitzConstant(math.inf, TWO_VALUES)
    like = call.inputs[0].value
    inputs, outputs = like.numel(), call.output.numel()
    if call.name in SUMS_OF_PRODUCTS and call.arguments[0] is not like:
        # Without the constant that is added: a large one would leave nothing of the product but rounding.
        zero = torch.zeros_like(call.arguments[0])
        call = replace(call, arguments=(zero, *call.arguments[1:]))
    if call.name in ("matmul", "mm", "addmm") and _matrix_on_the_right(call):
        matrix = call.arguments[2 if call.name == "addmm" else 1]
        scale = abs(call.keywords.get("alpha", 1)) if call.name == "addmm" else 1
        return call.affine(scale * float(spectral_norm_bound(matrix, None)))
    if inputs**2 <= MAX_DENSE_ENTRIES and inputs * outputs <= MAX_DENSE_ENTRIES:
        unit = torch.eye(inputs, dtype=like.dtype, device=like.device)
        zero = call.of_input(torch.zeros_like(like))
        rows = [(call.of_input(row.view_as(like)) - zero).flatten() for row in unit]
        return call.affine(float(spectral_norm_bound(torch.stack(rows), None)))
    positive = Call(call.name, call.function, *_absolute(call, like), call.inputs, call.output)
    return call.affine(nonnegative_norm(positive.of_input, like))


def _matrix_on_the_right(call: Call) -> bool:
    position = 1 if call.name == "addmm" else 0
    matrix = call.arguments[position + 1]
    return call.arguments[position] is call.inputs[0].value and matrix.dim() == 2 and matrix is not call.inputs[0].value


def _absolute(call: Call, like: Tensor) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments with absolute values in the place of all constant tensors and factors."""

    def absolute(value: Any) -> Any:
        if value is like:
            return value
        if isinstance(value, Tensor):
            return value.abs() if value.is_floating_point() else value
        return [absolute(part) for part in value] if isinstance(value, tuple | list) else value

    keywords = {key: abs(value) if isinstance(value, float) else value for key, value in call.keywords.items()}
    return tuple(absolute(value) for value in call.arguments), keywords


def _linear(weight: Tensor, bias: Tensor | None = None) -> Kernel:
    return Kernel(weight)


def _convolution(
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Kernel:
    stride, padding, dilation = (_each_axis(weight, value) for value in (stride, padding, dilation))
    return Kernel(weight, stride, padding, dilation, groups)


def _transposed(
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Kernel:
    plain = _convolution(weight, bias, stride, padding, dilation, groups)
    return Kernel(
        weight,
        plain.stride,
        plain.padding,
        plain.dilation,
        groups,
        transposed=True,
        output_padding=_each_axis(weight, output_padding),
    )


def _each_axis(weight: Tensor, value: Any) -> Any:
    """Return one value for each axis that is convolved; a padding by name stays as it is."""
    if isinstance(value, str):
        return value
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * (weight.dim() - 2) if len(values) == 1 else values


KERNELS: dict[str, Callable[..., Kernel]] = {
    "linear": _linear,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _transposed),
}
"""By ATen's name: the arguments after the input -> the weight and the arguments of the operator."""

SUMS_OF_PRODUCTS = frozenset(["addmm", "addmv", "addbmm", "baddbmm"])
"""By ATen's name: functions that add a product of the second and the third argument to the first one."""
PRODUCTS = "matmul mm bmm mv dot vdot inner addmm baddbmm addmv addbmm einsum tensordot bilinear outer ger"
MATRIX_PRODUCTS = frozenset(PRODUCTS.split())
"""By ATen's name: functions that are linear in each of their tensors."""
