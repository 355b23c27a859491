"""The modules without weights that are 1-Lipschitz in the Euclidean norm, and why others are not known to be."""

import copy
import math
from collections.abc import Callable
from typing import Any

from torch import nn

from lipschitz.estimation.upper_bound.activation_constants import ACTIVATION_MODULES
from lipschitz.estimation.upper_bound.module_rules import torch_class


def why_unbounded(module: nn.Module) -> str | None:
    """Return None for a module that is 1-Lipschitz whatever its parameters, in either mode, or else the reason.

    A module says its own constant by an attribute ``lipschitz_constant``. One of torch is judged by its class and
    fields; a subclass with a forward of its own is unknown.
    """
    constant = getattr(module, "lipschitz_constant", None)
    if constant is not None:
        return _why_above_one(constant)
    if (kind := torch_class(module, OTHERS)) is not None:
        return OTHERS[kind](module)
    if next(module.children(), None) is not None:
        return "what its forward makes of its children is not known: it may add them"
    if next(module.parameters(), None) is not None:
        return "nothing bounds its parameters"
    if (kind := torch_class(module, ACTIVATION_MODULES)) is not None:
        return _why_above_one(max(ACTIVATION_MODULES[kind](_in_mode(module, training)) for training in (False, True)))
    return "no Lipschitz constant of it is known"


def _in_mode(module: nn.Module, training: bool) -> nn.Module:
    twin = copy.copy(module)
    twin.training = training
    return twin


def _why_above_one(constant: float) -> str | None:
    if constant <= 1:
        return None
    return f"its Lipschitz constant {constant:.4g} exceeds one" if constant < math.inf else "no constant bounds it"


def _nothing(_: nn.Module) -> None:
    return None


def _deviation(_: nn.Module) -> str:
    return "it divides by a deviation of what it is given, which may be small"


def _overlap(pool: Any) -> str | None:
    return None if _apart(pool) else "its windows overlap"


def _border(pool: Any) -> str | None:
    # A plain average is a convolution with a kernel that adds up to one. Where the border counts fewer pixels, a pixel
    # there can add up to more than one over the windows that see it.
    if getattr(pool, "divisor_override", None) is not None:
        return "it divides by a number of its own"
    fewer = pool.ceil_mode or (not pool.count_include_pad and max(_tuple(pool.padding)) > 0)
    return "its windows overlap, and count fewer pixels at the border" if fewer and not _apart(pool) else None


def _several(pool: Any) -> str | None:
    return None if set(_tuple(pool.output_size)) == {1} else "its windows may overlap"


def _apart(pool: Any) -> bool:
    dense = set(_tuple(getattr(pool, "dilation", 1))) == {1}
    return dense and bool(max(_tuple(pool.kernel_size)) <= min(_tuple(pool.stride)))


def _tuple(field: Any) -> tuple[Any, ...]:
    return tuple(field) if isinstance(field, tuple | list) else (field,)


OTHERS: dict[type[nn.Module], Callable[[nn.Module], str | None]] = {
    **dict.fromkeys((nn.Flatten, nn.Unflatten, nn.PixelShuffle, nn.PixelUnshuffle), _nothing),
    **dict.fromkeys((nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d), _overlap),
    **dict.fromkeys((nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d), _border),
    **dict.fromkeys((nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d), _several),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm), _deviation),
    **dict.fromkeys((nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d), _deviation),
    **dict.fromkeys((nn.LayerNorm, nn.GroupNorm), _deviation),
}
"""By class: what returns, called with the module, why it is not 1-Lipschitz, or None where it is."""
