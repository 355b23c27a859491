"""Lipschitz constants of modules without a measured weight: normalisation, pooling, activations, declared constants."""

import math
from collections.abc import Callable, Container
from typing import Any

import torch
from torch import nn

from lipschitz.estimation.upper_bound.activation_constants import ACTIVATION_MODULES
from lipschitz.estimation.upper_bound.pooling_and_reshaping import (
    LINEAR_MODULES,
    adaptive_max_pool_constant,
    linear_constant,
    max_pool_constant,
)
from lipschitz.estimation.upper_bound.sums_and_products import attention_constant
from lipschitz.estimation.upper_bound.traced_call import UNKNOWN, Call, LipschitzConstant

Rule = Callable[[Call], LipschitzConstant]
"""Returns the Lipschitz constant of the output of a call as a function of the network's input."""


def module_rule(module: nn.Module) -> Rule | None:
    """Return the rule for calls of ``module``; None if no constant is known.

    A module may declare its own constant by an attribute ``lipschitz_constant``, and give the reason by
    ``lipschitz_reason``. A module of torch is looked up by its class, see `torch_class`.
    """
    declared = getattr(module, "lipschitz_constant", None)
    if declared is not None:
        constant = _declared(float(declared), str(getattr(module, "lipschitz_reason", "")))
        return lambda call: _times(call, constant)
    if (kind := torch_class(module, ACTIVATION_MODULES)) is not None:
        slope = ACTIVATION_MODULES[kind](module)
        return lambda call: _times(call, UNKNOWN if slope == math.inf else LipschitzConstant(slope))
    if (kind := torch_class(module, NORMALIZATION_MODULES)) is not None:
        norm = NORMALIZATION_MODULES[kind](module)
        return lambda call: _times(call, norm)
    if (kind := torch_class(module, MAX_POOL_MODULES)) is not None:
        return MAX_POOL_MODULES[kind](module)
    if torch_class(module, LINEAR_MODULES) is not None:
        return linear_constant
    return attention_constant if isinstance(module, ATTENTION_MODULES) else None


def torch_class(module: nn.Module, classes: Container[type[nn.Module]]) -> type[nn.Module] | None:
    """Return the class among ``classes`` whose forward method the module has.

    None for a module of another class, a subclass with its own forward, or an instance whose forward was replaced.
    """
    if "forward" in vars(module):
        return None
    own = getattr(type(module), "forward", None)
    return next(
        (kind for kind in type(module).__mro__ if kind in classes and getattr(kind, "forward", None) is own), None
    )


def _times(call: Call, constant: LipschitzConstant) -> LipschitzConstant:
    if not call.is_unary():
        return UNKNOWN
    return LipschitzConstant(call.times_input_constant(constant.constant), constant.note)


def _declared(constant: float, reason: str) -> LipschitzConstant:
    if not constant >= 0:
        constant, reason = math.inf, f"{constant} is no Lipschitz constant"
    note = f"declares a Lipschitz constant of {constant:g}"
    return LipschitzConstant(constant, f"{note}: {reason}" if reason else note if constant == math.inf else "")


def _batch_norm(norm: Any) -> LipschitzConstant:
    if norm.training or norm.running_var is None:
        return LipschitzConstant(math.inf, "normalises by the statistics of its batch")
    gain = norm.weight if norm.weight is not None else torch.ones_like(norm.running_var)
    constant = float((gain.abs() / (norm.running_var + norm.eps).sqrt()).max())
    return LipschitzConstant(
        constant, "has the constant |γ| / √(running variance + ε) in eval mode only; in training mode it has none"
    )


def _sample_norm(norm: Any) -> LipschitzConstant:
    """Layer, group or instance norm: max |γ| / √ε.

    The Jacobian of (x - mean) / √(variance + ε) has the norm 1 / √(variance + ε), largest where all values are equal.
    """
    gain = 1.0 if norm.weight is None else float(norm.weight.abs().max())
    if norm.eps > 0:
        return LipschitzConstant(gain / math.sqrt(norm.eps))
    return LipschitzConstant(math.inf, "divides by a variance without an ε")


def _instance_norm(norm: Any) -> LipschitzConstant:
    return _sample_norm(norm) if norm.running_var is None else _batch_norm(norm)


def _max_pool(axes: int) -> Callable[[Any], Rule]:
    return lambda pool: (
        lambda call: max_pool_constant(call, axes, pool.kernel_size, pool.stride, pool.padding, pool.dilation)
    )


def _adaptive_max_pool(axes: int) -> Callable[[Any], Rule]:
    return lambda _: lambda call: adaptive_max_pool_constant(call, axes)


NORMALIZATION_MODULES: dict[type[nn.Module], Callable[[Any], LipschitzConstant]] = {
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm), _batch_norm),
    **dict.fromkeys((nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d), _instance_norm),
    **dict.fromkeys((nn.LayerNorm, nn.GroupNorm), _sample_norm),
}
MAX_POOL_MODULES: dict[type[nn.Module], Callable[[Any], Rule]] = {
    nn.MaxPool1d: _max_pool(1),
    nn.MaxPool2d: _max_pool(2),
    nn.MaxPool3d: _max_pool(3),
    nn.AdaptiveMaxPool1d: _adaptive_max_pool(1),
    nn.AdaptiveMaxPool2d: _adaptive_max_pool(2),
    nn.AdaptiveMaxPool3d: _adaptive_max_pool(3),
}
ATTENTION_MODULES = (
    nn.MultiheadAttention,
    nn.TransformerEncoderLayer,
    nn.TransformerDecoderLayer,
    nn.TransformerEncoder,
    nn.TransformerDecoder,
    nn.Transformer,
)
