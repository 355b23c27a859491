"""Lipschitz constants of batch, layer, group, instance and RMS normalisation."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lipschitz.estimation.upper_bound.traced_call import Call, LipschitzConstant

EVAL_MODE = "has the constant |γ| / √(running variance + ε) in eval mode only; in training mode it has none"


def batch_norm_constant(
    call: Call,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    *_: Any,
) -> LipschitzConstant:
    """Batch normalisation with running statistics: max |γ| / √(running variance + ε)."""
    if training or variance is None:
        return LipschitzConstant(math.inf, "normalises by the statistics of its batch")
    gain = torch.ones_like(variance) if weight is None else weight
    return call.affine(float((gain.abs() / (variance + eps).sqrt()).max()), note=EVAL_MODE)


def functional_batch_norm_constant(
    call: Call, weight: Tensor | None, bias: Tensor | None, mean: Tensor, variance: Tensor, momentum: float, eps: float
) -> LipschitzConstant:
    """Batch normalisation as it is in graphs without operators in place: one of its three results has values."""
    return batch_norm_constant(call, weight, bias, mean, variance, False, momentum, eps)._replace(linear=None)


def instance_norm_constant(
    call: Call,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    *_: Any,
) -> LipschitzConstant:
    """Instance normalisation: as a layer norm by the sample's own statistics, else as batch normalisation."""
    if use_input_stats:
        return _by_own_statistics(call, weight, eps)
    return batch_norm_constant(call, weight, bias, mean, variance, False, momentum, eps)


def layer_norm_constant(
    call: Call, shape: Any, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5, *_: Any
) -> LipschitzConstant:
    """Layer normalisation, or group normalisation with the number of groups as ``shape``."""
    return _by_own_statistics(call, weight, eps)


def rms_norm_constant(
    call: Call, shape: Any, weight: Tensor | None = None, eps: float | None = None
) -> LipschitzConstant:
    """x / √(mean of x² + ε): the Jacobian is largest at x = 0, where it is 1 / √ε."""
    return _by_own_statistics(call, weight, torch.finfo(call.input.dtype).eps if eps is None else eps)


def _by_own_statistics(call: Call, weight: Tensor | None, eps: float) -> LipschitzConstant:
    """max |γ| / √ε.

    The Jacobian of (x - mean) / √(variance + ε) has the norm 1 / √(variance + ε), largest where all values are equal.
    """
    gain = 1.0 if weight is None else float(weight.abs().max())
    if eps > 0:
        return LipschitzConstant(call.times_input_constant(gain / math.sqrt(eps)))
    return LipschitzConstant(math.inf, "divides by a variance without an ε")


NORMALIZATIONS: dict[str, Callable[..., LipschitzConstant]] = {
    "batch_norm": batch_norm_constant,
    "_native_batch_norm_legit_no_training": functional_batch_norm_constant,
    "instance_norm": instance_norm_constant,
    "layer_norm": layer_norm_constant,
    "group_norm": layer_norm_constant,
    "rms_norm": rms_norm_constant,
}
"""By ATen's name: returns the constant, given the call and the arguments after the input, in ATen's order."""
