"""Decide whether a module without weights (activation, pooling, reshaping) is 1-Lipschitz in the Euclidean norm."""

import copy
import math
from collections.abc import Callable, Container
from typing import Any

from torch import nn

from lipschitz.estimation.upper_bound.activation_slopes import ACTIVATION_MODULES
from lipschitz.models.dropout import Dropout
from lipschitz.models.residual import MeanPool, SelfAttention, SumPool


def why_not_one_lipschitz(module: nn.Module) -> str | None:
    """Return why ``module`` is not known to be 1-Lipschitz, or None if it is, in training and in eval mode.

    Dropout is 1-Lipschitz in eval mode alone, where it is the identity. It is accepted, since networks are measured,
    certified and attacked in eval mode. In training it multiplies the values that it keeps by 1 / (1 - p).

    Any module can declare its constant by an attribute ``lipschitz_constant``. torch's modules are judged by their
    class and fields. A subclass that overrides forward is unknown.
    """
    constant = getattr(module, "lipschitz_constant", None)
    if constant is not None:
        return _why_above_one(constant)
    if (kind := torch_class(module, RULES)) is not None:
        return RULES[kind](module)
    if next(module.children(), None) is not None:
        return "it is not known how its forward combines its children, and it may add their outputs"
    if next(module.parameters(), None) is not None:
        return "nothing bounds its parameters"
    if (kind := torch_class(module, ACTIVATION_MODULES)) is not None:
        return _why_above_one(
            max(ACTIVATION_MODULES[kind](_copy_in_mode(module, training)).constant for training in (False, True))
        )
    return "its Lipschitz constant is not known"


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


def _copy_in_mode(module: nn.Module, training: bool) -> nn.Module:
    copied = copy.copy(module)
    copied.training = training
    return copied


def _why_above_one(constant: float) -> str | None:
    if constant <= 1:
        return None
    if constant < math.inf:
        return f"its Lipschitz constant {constant:.4g} exceeds one"
    return "it has no finite Lipschitz constant"


def is_dropout(module: nn.Module) -> bool:
    """Return whether ``module`` drops values in training, and is the identity in eval mode."""
    return torch_class(module, DROPOUTS) is not None


def _always_one_lipschitz(_: nn.Module) -> None:
    return None


def _normalization(_: nn.Module) -> str:
    return "it divides by a standard deviation, which may be small"


def _max_pooling(pool: Any) -> str | None:
    return None if _windows_are_disjoint(pool) else "its windows overlap"


def _average_pooling(pool: Any) -> str | None:
    # A plain average is a convolution with weights that sum to one. If windows at the border divide by fewer pixels,
    # the weights of one border pixel, summed over the windows that contain it, can exceed one.
    if getattr(pool, "divisor_override", None) is not None:
        return "it has a divisor_override"
    fewer = pool.ceil_mode or (not pool.count_include_pad and max(_as_tuple(pool.padding)) > 0)
    if not fewer or _windows_are_disjoint(pool):
        return None
    return "its windows overlap, and divide by fewer pixels at the border"


def _adaptive_average_pooling(pool: Any) -> str | None:
    return None if set(_as_tuple(pool.output_size)) == {1} else "its windows may overlap"


def _sum_pooling(_: nn.Module) -> str:
    return "its Lipschitz constant is the root of the number of pixels"


def _self_attention(_: nn.Module) -> str:
    return "dot-product attention has no finite Lipschitz constant (Kim et al. 2021, arXiv:2006.04710)"


def _windows_are_disjoint(pool: Any) -> bool:
    dense = set(_as_tuple(getattr(pool, "dilation", 1))) == {1}
    return dense and bool(max(_as_tuple(pool.kernel_size)) <= min(_as_tuple(pool.stride)))


def _as_tuple(field: Any) -> tuple[Any, ...]:
    return tuple(field) if isinstance(field, tuple | list) else (field,)


DROPOUTS = (Dropout, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
"""Classes of modules that are the identity in eval mode."""

RULES: dict[type[nn.Module], Callable[[nn.Module], str | None]] = {
    **dict.fromkeys((nn.Softmax, nn.Softmin, nn.Softmax2d), _always_one_lipschitz),
    **dict.fromkeys(DROPOUTS, _always_one_lipschitz),
    **dict.fromkeys((nn.Flatten, nn.Unflatten, nn.PixelShuffle, nn.PixelUnshuffle), _always_one_lipschitz),
    **dict.fromkeys((nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d), _max_pooling),
    **dict.fromkeys((nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d), _average_pooling),
    **dict.fromkeys((nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d), _adaptive_average_pooling),
    **{MeanPool: _always_one_lipschitz, SumPool: _sum_pooling, SelfAttention: _self_attention},
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm), _normalization),
    **dict.fromkeys((nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d), _normalization),
    **dict.fromkeys((nn.LayerNorm, nn.GroupNorm), _normalization),
}
"""By class: module -> why it is not 1-Lipschitz, or None if it is."""
