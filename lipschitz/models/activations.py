"""Activation functions of the models: ReLU, leaky ReLU, GroupSort of pairs and of all channels."""

from typing import Literal

from torch import nn

from lipschitz.models.group_sort import GroupSort

Activation = Literal["relu", "leaky_relu", "group_sort", "full_sort"]

NEGATIVE_SLOPE = 0.1
"""Negative slope of the leaky ReLU of Miyato et al. 2018 (arXiv:1802.05957, Table 3)."""


def activation(name: Activation, negative_slope: float = NEGATIVE_SLOPE) -> nn.Module:
    """Return a module of the activation ``name``; ``negative_slope`` is that of the leaky ReLU."""
    match name:
        case "relu":
            return nn.ReLU()
        case "leaky_relu":
            return nn.LeakyReLU(negative_slope)
        case "group_sort":
            return GroupSort()
        case "full_sort":
            return GroupSort(None)


def check_activation(name: Activation, width: int) -> None:
    """Raise ValueError unless the activation ``name`` supports ``width`` channels."""
    if name == "group_sort" and width % 2:
        raise ValueError(f"group_sort sorts pairs of channels, got width {width}; allowed: even widths")
