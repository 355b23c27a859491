"""Activation functions of the models: ReLU, leaky ReLU, sorting of pairs (MaxMin) or all channels, Householder."""

from typing import Literal

from torch import nn

from lipschitz.models.group_sort import GroupSort
from lipschitz.models.householder import Householder

Activation = Literal["relu", "leaky_relu", "group_sort", "max_min", "full_sort", "householder"]

PAIRED = {"group_sort": "sorts", "max_min": "sorts", "householder": "reflects"}
"""What is done to pairs of channels, by activation."""
NEGATIVE_SLOPE = 0.1
"""Negative slope of the leaky ReLU of Miyato et al. 2018 (arXiv:1802.05957, Table 3)."""


def activation(name: Activation, channels: int, negative_slope: float = NEGATIVE_SLOPE) -> nn.Module:
    """Return a module of the activation ``name`` for ``channels``; ``negative_slope`` is that of the leaky ReLU.

    ``max_min`` is another name for ``group_sort``, the sorting of pairs.
    """
    match name:
        case "relu":
            return nn.ReLU()
        case "leaky_relu":
            return nn.LeakyReLU(negative_slope)
        case "group_sort" | "max_min":
            return GroupSort()
        case "full_sort":
            return GroupSort(None)
        case "householder":
            return Householder(channels)


def check_activation(name: Activation, width: int) -> None:
    """Raise ValueError unless the activation ``name`` supports ``width`` channels."""
    if name in PAIRED and width % 2:
        raise ValueError(f"{name} {PAIRED[name]} pairs of channels, got width {width}; allowed: even widths")
