"""The Lipschitz constants of torch's functions and methods, by their names."""

import builtins
import inspect
import math
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

from lipschitz.estimation.upper_bound import activation_constants as slopes
from lipschitz.estimation.upper_bound import pooling_and_reshaping as linear_maps
from lipschitz.estimation.upper_bound import sums_and_products as combinations
from lipschitz.estimation.upper_bound.pooling import adaptive_max_pool, max_pool
from lipschitz.estimation.upper_bound.pooling_and_reshaping import linear
from lipschitz.estimation.upper_bound.traced_call import UNKNOWN, Call, Factor, tensors

SIZES = frozenset(["size", "dim", "numel", "zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full"])
"""Functions whose result depends on a tensor's shape alone."""
SIZE_ATTRIBUTES = frozenset(["shape", "ndim", "dtype", "device"])
EXTREMES = frozenset(["amax", "amin", "max", "min", "sort", "topk"])
"""Functions that pick values along an axis, each at most once; their second result is integers."""
PERMUTED = frozenset(["T", "mT", "values"])
"""Attributes that hold a tensor's values, or those of what `EXTREMES` returns, in another order."""
MAX_POOLS = {f"max_pool{axes}d": axes for axes in (1, 2, 3)}
ADAPTIVE_MAX_POOLS = {f"adaptive_max_pool{axes}d": axes for axes in (1, 2, 3)}


def torch_name(function: Any) -> str | None:
    """Return the name by which torch or Python's operators know ``function``, None if they do not."""
    name = getattr(function, "__name__", "")
    spaces = (torch, F, operator, builtins)
    return name if any(getattr(space, name, None) is function for space in spaces) else None


def function_rule(call: Call) -> Factor:
    """Return the constant of a call of a function or method of torch's, known by that name."""
    name = call.name
    if name in combinations.RULES:
        return combinations.RULES[name](call)
    if not call.unary():
        return _part(call)
    if name == "getattr":
        return _attribute(call)
    if name in SIZES:
        return Factor(0.0)
    if name in slopes.FUNCTIONS:
        return _elementwise(call, slopes.FUNCTIONS[name])
    if name in linear_maps.FUNCTIONS:
        return linear(call)
    if name in EXTREMES and not list(tensors((*call.arguments[1:], *call.keywords.values()))):
        return Factor(call.times(1.0))
    if name in MAX_POOLS:
        keywords = {key: value for key, value in call.keywords.items() if key not in ("ceil_mode", "return_indices")}
        return max_pool(call, MAX_POOLS[name], *call.arguments[1:5], **keywords)
    if name in ADAPTIVE_MAX_POOLS:
        return adaptive_max_pool(call, ADAPTIVE_MAX_POOLS[name])
    return UNKNOWN


def _elementwise(call: Call, slope: Callable[..., float]) -> Factor:
    """Call ``slope`` with what follows the input; unknown where it does not take that, or a bound is broadcast."""
    if call.output.shape != call.input.shape:
        return UNKNOWN
    try:
        arguments = inspect.signature(slope).bind(*call.arguments[1:], **call.keywords)
    except TypeError:
        return UNKNOWN
    constant = slope(*arguments.args, **arguments.kwargs)
    return UNKNOWN if constant == math.inf else Factor(call.times(constant))


def _attribute(call: Call) -> Factor:
    if call.arguments[1] in SIZE_ATTRIBUTES:
        return Factor(0.0)
    return Factor(call.times(1.0)) if call.arguments[1] in PERMUTED else UNKNOWN


def _part(call: Call) -> Factor:
    """One of several tensors, such as chunk returns: it moves no more than all of them together."""
    whole = call.inputs[0]
    picks = call.name == "getitem" or (call.name == "getattr" and call.arguments[1] in PERMUTED)
    if picks and len(call.inputs) == 1 and call.arguments[0] is whole.value and isinstance(whole.value, tuple | list):
        return Factor(whole.constant)
    return UNKNOWN
