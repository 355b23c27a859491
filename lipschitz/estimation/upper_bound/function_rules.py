"""Lipschitz constants of torch functions and tensor methods, looked up by name."""

import builtins
import inspect
import math
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

from lipschitz.estimation.upper_bound.activation_constants import ACTIVATION_FUNCTIONS
from lipschitz.estimation.upper_bound.pooling_and_reshaping import (
    LINEAR_FUNCTIONS,
    adaptive_max_pool_constant,
    linear_constant,
    max_pool_constant,
)
from lipschitz.estimation.upper_bound.sums_and_products import SUMS_AND_PRODUCTS
from lipschitz.estimation.upper_bound.traced_call import UNKNOWN, Call, LipschitzConstant, tensors_in

SHAPE_FUNCTIONS = frozenset(
    ["size", "dim", "numel", "zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full"]
)
"""Functions whose result depends only on a tensor's shape, dtype and device."""
SHAPE_ATTRIBUTES = frozenset(["shape", "ndim", "dtype", "device"])
SELECTING_FUNCTIONS = frozenset(["amax", "amin", "max", "min", "sort", "topk"])
"""Functions that select values along an axis, each at most once; a second result holds integer indices."""
PERMUTED_ATTRIBUTES = frozenset(["T", "mT", "values"])
"""Attributes that hold a tensor's values, or those of a result of `SELECTING_FUNCTIONS`, in some order."""
MAX_POOLS = {f"max_pool{axes}d": axes for axes in (1, 2, 3)}
ADAPTIVE_MAX_POOLS = {f"adaptive_max_pool{axes}d": axes for axes in (1, 2, 3)}


def torch_name(function: Any) -> str | None:
    """Return the name of ``function`` in torch, torch.nn.functional, operator or builtins; None if it is in none."""
    name = getattr(function, "__name__", "")
    spaces = (torch, F, operator, builtins)
    return name if any(getattr(space, name, None) is function for space in spaces) else None


def function_constant(call: Call) -> LipschitzConstant:
    """Return the constant of a call of a torch function or method, looked up by its name."""
    name = call.name
    if name in SUMS_AND_PRODUCTS:
        return SUMS_AND_PRODUCTS[name](call)
    if not call.is_unary():
        return _element_of_tuple(call)
    if name == "getattr":
        return _attribute(call)
    if name in SHAPE_FUNCTIONS:
        return LipschitzConstant(0.0)
    if name in ACTIVATION_FUNCTIONS:
        return _activation(call, ACTIVATION_FUNCTIONS[name])
    if name in LINEAR_FUNCTIONS:
        return linear_constant(call)
    if name in SELECTING_FUNCTIONS and not list(tensors_in((*call.arguments[1:], *call.keywords.values()))):
        return LipschitzConstant(call.times_input_constant(1.0))
    if name in MAX_POOLS:
        keywords = {key: value for key, value in call.keywords.items() if key not in ("ceil_mode", "return_indices")}
        return max_pool_constant(call, MAX_POOLS[name], *call.arguments[1:5], **keywords)
    if name in ADAPTIVE_MAX_POOLS:
        return adaptive_max_pool_constant(call, ADAPTIVE_MAX_POOLS[name])
    return UNKNOWN


def _activation(call: Call, constant_of: Callable[..., float]) -> LipschitzConstant:
    """Apply ``constant_of`` to the arguments after the input; unknown if it does not accept them.

    Also unknown if the output has another shape than the input: an argument, such as a bound of clamp, was broadcast.
    """
    if call.output.shape != call.input.shape:
        return UNKNOWN
    try:
        arguments = inspect.signature(constant_of).bind(*call.arguments[1:], **call.keywords)
    except TypeError:
        return UNKNOWN
    constant = constant_of(*arguments.args, **arguments.kwargs)
    return UNKNOWN if constant == math.inf else LipschitzConstant(call.times_input_constant(constant))


def _attribute(call: Call) -> LipschitzConstant:
    if call.arguments[1] in SHAPE_ATTRIBUTES:
        return LipschitzConstant(0.0)
    return LipschitzConstant(call.times_input_constant(1.0)) if call.arguments[1] in PERMUTED_ATTRIBUTES else UNKNOWN


def _element_of_tuple(call: Call) -> LipschitzConstant:
    """One tensor of a tuple, such as the result of chunk: the constant of the tuple is a bound."""
    whole = call.inputs[0]
    selects = call.name == "getitem" or (call.name == "getattr" and call.arguments[1] in PERMUTED_ATTRIBUTES)
    if selects and len(call.inputs) == 1 and call.arguments[0] is whole.value and isinstance(whole.value, tuple | list):
        return LipschitzConstant(whole.constant)
    return UNKNOWN
