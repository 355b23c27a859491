"""Lipschitz constants of ATen operators, looked up by name."""

import inspect
import math
from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from lipschitz.estimation.upper_bound.activation_slopes import ACTIVATION_FUNCTIONS
from lipschitz.estimation.upper_bound.linear_rules import (
    KERNELS,
    MATRIX_PRODUCTS,
    linear_layer_constant,
    matrix_product_constant,
)
from lipschitz.estimation.upper_bound.normalization_rules import NORMALIZATIONS
from lipschitz.estimation.upper_bound.operator_bounds import OperatorBounds
from lipschitz.estimation.upper_bound.pooling_and_reshaping import (
    ADAPTIVE_MAX_POOLS,
    LINEAR_FUNCTIONS,
    MAX_POOLS,
    adaptive_max_pool_constant,
    bicubic_constant,
    linear_constant,
    max_pool_constant,
)
from lipschitz.estimation.upper_bound.reductions import REDUCTIONS
from lipschitz.estimation.upper_bound.sums_and_products import SUMS_AND_PRODUCTS
from lipschitz.estimation.upper_bound.traced_call import UNKNOWN, Call, LipschitzConstant, Slopes, tensors_in

OF_THE_SHAPE = """
    size numel sym_size zeros_like ones_like full_like empty_like new_zeros new_ones new_full new_empty
    _assert_tensor_metadata
"""
SHAPE_FUNCTIONS = frozenset(OF_THE_SHAPE.split())
"""Functions whose result does not depend on the values of a tensor, only on its shape, dtype and device."""
LIKE_ANOTHER = frozenset(["type_as", "view_as", "reshape_as", "expand_as"])
"""Functions of one value, with the shape or the type of another one."""
STEEP = "exp exp2 expm1 square pow sqrt rsqrt log log2 log10 log1p tan sinh cosh prod cumprod var var_mean glu mse_loss"
UNBOUNDED = frozenset(STEEP.split())
"""Functions whose slope has no bound."""
JUMPING = """
    floor ceil round trunc frac fix sign sgn heaviside hardshrink remainder fmod floor_divide nan_to_num bernoulli mode
    searchsorted bucketize histc
"""
DISCONTINUOUS = frozenset(JUMPING.split())


RECURRENT = frozenset(["lstm", "gru", "rnn_tanh", "rnn_relu"])


def draws_in_training_alone(name: str) -> bool:
    """Say whether an operator that may draw random numbers has arguments that say so, as dropout has."""
    return name in ACTIVATION_FUNCTIONS or name in SUMS_AND_PRODUCTS or name in RECURRENT


def operator_constant(call: Call, operators: OperatorBounds) -> LipschitzConstant:
    """Return the constant of a call of an ATen operator; ``operators`` keeps the bounds of layers."""
    name = call.name
    if name == "getitem":
        return _element_of_tuple(call)
    if name in LIKE_ANOTHER and len(call.inputs) > 1:
        call = replace(call, inputs=call.inputs[:1])
    if (
        any(not part.is_floating_point() for value in call.inputs for part in tensors_in(value.value))
        and name != "where"
    ):
        return LipschitzConstant(math.inf, "uses integers, truth values or complex numbers that depend on the input")
    if name in KERNELS:
        return linear_layer_constant(call, operators)
    if name in MATRIX_PRODUCTS:
        return matrix_product_constant(call)
    if name in SUMS_AND_PRODUCTS:
        return SUMS_AND_PRODUCTS[name](call)
    if name in SHAPE_FUNCTIONS and call.is_unary():
        return LipschitzConstant(0.0)
    if name in UNBOUNDED:
        return LipschitzConstant(math.inf, "has no Lipschitz constant over all inputs")
    if name in DISCONTINUOUS:
        return LipschitzConstant(math.inf, "is discontinuous")
    return _unary_constant(call) if call.is_unary() else UNKNOWN


def _dependent_tensors(call: Call) -> list[Tensor]:
    return [part for value in call.inputs for part in tensors_in(value.value)]


def _unary_constant(call: Call) -> LipschitzConstant:
    name, arguments = call.name, call.arguments[1:]
    if name in ACTIVATION_FUNCTIONS:
        return _activation(call, ACTIVATION_FUNCTIONS[name])
    if name in LINEAR_FUNCTIONS:
        return linear_constant(call)
    if name in NORMALIZATIONS:
        return _with_arguments(call, NORMALIZATIONS[name])
    if name in REDUCTIONS:
        return _with_arguments(call, REDUCTIONS[name])
    if name in MAX_POOLS:
        return max_pool_constant(call, MAX_POOLS[name], *arguments, **call.keywords)
    if name == "upsample_bicubic2d":
        return bicubic_constant(call)
    if name in ADAPTIVE_MAX_POOLS:
        return adaptive_max_pool_constant(call, ADAPTIVE_MAX_POOLS[name])
    return UNKNOWN


def _with_arguments(call: Call, rule: Callable[..., LipschitzConstant]) -> LipschitzConstant:
    """Apply ``rule`` to the call and its arguments after the input; unknown if it does not accept them."""
    try:
        bound = inspect.signature(rule).bind(call, *call.arguments[1:], **call.keywords)
    except TypeError:
        return UNKNOWN
    return rule(*bound.args, **bound.kwargs)


def _activation(call: Call, slopes_of: Callable[..., Slopes]) -> LipschitzConstant:
    """Apply ``slopes_of`` to the arguments after the input; unknown if it does not accept them.

    Also unknown if the output has another shape than the input: an argument, such as a bound of clamp, was broadcast.
    """
    if not isinstance(call.output, Tensor) or call.output.shape != call.input.shape:
        return UNKNOWN
    return _with_arguments(call, lambda _, *arguments, **keywords: call.elementwise(slopes_of(*arguments, **keywords)))


def _element_of_tuple(call: Call) -> LipschitzConstant:
    """One tensor of a tuple, such as the result of chunk: the constant of the tuple is a bound."""
    return LipschitzConstant(call.times_input_constant(1.0)) if len(call.inputs) == 1 else UNKNOWN
