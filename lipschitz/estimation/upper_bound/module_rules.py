"""The Lipschitz constants of modules without a measured weight, by their class or by their own word."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from lipschitz.estimation.upper_bound import activation_constants as slopes
from lipschitz.estimation.upper_bound import pooling_and_reshaping as linear_maps
from lipschitz.estimation.upper_bound.kinds import torch_kind
from lipschitz.estimation.upper_bound.pooling import adaptive_max_pool, max_pool
from lipschitz.estimation.upper_bound.pooling_and_reshaping import linear
from lipschitz.estimation.upper_bound.sums_and_products import attention
from lipschitz.estimation.upper_bound.traced_call import UNKNOWN, Call, Factor

Rule = Callable[[Call], Factor]


def module_rule(module: nn.Module) -> Rule | None:
    """Return what gives the constant of a call of ``module``; None where nothing does.

    Any module says its own constant by an attribute ``lipschitz_constant``, and why by ``lipschitz_reason``. One of
    torch's is known by its class, a subclass with a forward of its own is not.
    """
    declared = getattr(module, "lipschitz_constant", None)
    if declared is not None:
        factor = _declared(float(declared), str(getattr(module, "lipschitz_reason", "")))
        return lambda call: _times(call, factor)
    if (kind := torch_kind(module, slopes.MODULES)) is not None:
        slope = slopes.MODULES[kind](module)
        return lambda call: _times(call, UNKNOWN if slope == math.inf else Factor(slope))
    if (kind := torch_kind(module, NORMS)) is not None:
        norm = NORMS[kind](module)
        return lambda call: _times(call, norm)
    if (kind := torch_kind(module, POOLS)) is not None:
        return POOLS[kind](module)
    if torch_kind(module, linear_maps.MODULES) is not None:
        return linear
    return attention if isinstance(module, ATTENTIVE) else None


def _times(call: Call, factor: Factor) -> Factor:
    return Factor(call.times(factor.constant), factor.note) if call.unary() else UNKNOWN


def _declared(constant: float, reason: str) -> Factor:
    if not constant >= 0:
        constant, reason = math.inf, f"{constant} is no Lipschitz constant"
    note = f"declares a Lipschitz constant of {constant:g}"
    return Factor(constant, f"{note}: {reason}" if reason else note if constant == math.inf else "")


def _batch_norm(norm: Any) -> Factor:
    if norm.training or norm.running_var is None:
        return Factor(math.inf, "normalises by the statistics of its batch")
    gain = norm.weight if norm.weight is not None else torch.ones_like(norm.running_var)
    constant = float((gain.abs() / (norm.running_var + norm.eps).sqrt()).max())
    return Factor(
        constant, "counts in eval mode, as |γ| / √(running variance + ε): in training it has no such constant"
    )


def _sample_norm(norm: Any) -> Factor:
    """(x - mean) / √(variance + ε) has a Jacobian of norm 1 / √(variance + ε): largest where all values are equal."""
    gain = 1.0 if norm.weight is None else float(norm.weight.abs().max())
    return (
        Factor(gain / math.sqrt(norm.eps)) if norm.eps > 0 else Factor(math.inf, "divides by a variance without an ε")
    )


def _instance_norm(norm: Any) -> Factor:
    return _sample_norm(norm) if norm.running_var is None else _batch_norm(norm)


def _max_pool(axes: int) -> Callable[[Any], Rule]:
    return lambda pool: lambda call: max_pool(call, axes, pool.kernel_size, pool.stride, pool.padding, pool.dilation)


def _adaptive_max_pool(axes: int) -> Callable[[Any], Rule]:
    return lambda _: lambda call: adaptive_max_pool(call, axes)


NORMS: dict[type[nn.Module], Callable[[Any], Factor]] = {
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm), _batch_norm),
    **dict.fromkeys((nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d), _instance_norm),
    **dict.fromkeys((nn.LayerNorm, nn.GroupNorm), _sample_norm),
}
POOLS: dict[type[nn.Module], Callable[[Any], Rule]] = {
    nn.MaxPool1d: _max_pool(1),
    nn.MaxPool2d: _max_pool(2),
    nn.MaxPool3d: _max_pool(3),
    nn.AdaptiveMaxPool1d: _adaptive_max_pool(1),
    nn.AdaptiveMaxPool2d: _adaptive_max_pool(2),
    nn.AdaptiveMaxPool3d: _adaptive_max_pool(3),
}
ATTENTIVE = (
    nn.MultiheadAttention,
    nn.TransformerEncoderLayer,
    nn.TransformerDecoderLayer,
    nn.TransformerEncoder,
    nn.TransformerDecoder,
    nn.Transformer,
)
