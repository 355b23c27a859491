"""The steps of a chain: linear maps and elementwise activations between them, as records of tensors."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from lipschitz.estimation.upper_bound.polyphase import ConvolutionAxis


@dataclass(frozen=True)
class Matrix:
    """x -> W x, where a map ``(c, ...)`` is flattened first."""

    weight: Tensor
    """``(m, n)``, float64."""


@dataclass(frozen=True)
class Convolution:
    """A zero-padded convolution of maps ``(c, ...)``."""

    weight: Tensor
    """``(d_out, d_in / groups, k_1, ...)``, float64."""
    axes: tuple[ConvolutionAxis, ...]
    groups: int = 1

    @property
    def reads_padding(self) -> bool:
        """Whether an output of the convolution depends on values outside of the map."""
        last = ((axis.outputs - 1, axis.kernel - 1) for axis in self.axes)
        return any(
            axis.position(0, 0) < 0 or axis.position(*end) >= axis.size
            for axis, end in zip(self.axes, last, strict=True)
        )

    def full_weight(self) -> Tensor:
        """Return the weight ``(d_out, d_in, k_1, ...)`` of the same convolution with one group."""
        if self.groups == 1:
            return self.weight
        outputs, inputs = len(self.weight) // self.groups, self.weight.shape[1]
        full = self.weight.new_zeros((len(self.weight), inputs * self.groups, *self.weight.shape[2:]))
        for group in range(self.groups):
            rows = slice(group * outputs, (group + 1) * outputs)
            full[rows, group * inputs : (group + 1) * inputs] = self.weight[rows]
        return full

    def apply(self, x: Tensor) -> Tensor:
        """Convolve ``x`` ``(n, c, ...)``."""
        sides = [(axis.padding, axis.position(axis.outputs - 1, axis.kernel - 1) - axis.size + 1) for axis in self.axes]
        x = F.pad(x, [side for pair in reversed(sides) for side in pair])
        strides, dilations = [axis.stride for axis in self.axes], [axis.dilation for axis in self.axes]
        convolve = (F.conv1d, F.conv2d, F.conv3d)[len(self.axes) - 1]
        return convolve(x, self.weight, None, strides, 0, dilations, self.groups)

    def matrix(self) -> Tensor:
        """Return the matrix ``(m, n)`` of the convolution on flattened maps."""
        sizes = [axis.size for axis in self.axes]
        inputs = self.weight.shape[1] * self.groups * math.prod(sizes)
        units = torch.eye(inputs, dtype=self.weight.dtype, device=self.weight.device).view(inputs, -1, *sizes)
        return self.apply(units).flatten(1).T


@dataclass(frozen=True)
class ChannelScale:
    """Multiplication of each channel by a number, as batch normalization does in eval mode."""

    factors: Tensor
    """``(c,)``, float64."""


@dataclass(frozen=True)
class SpatialSum:
    """Sum over all positions of a map ``(c, ...)``, times a number: global sum or average pooling."""

    factor: float = 1.0


@dataclass(frozen=True)
class Slopes:
    """An elementwise activation whose difference quotients all lie in [low, high]."""

    low: float
    high: float

    @property
    def constant(self) -> float:
        """The Lipschitz constant of the activation."""
        return max(abs(self.low), abs(self.high))

    def then(self, other: "Slopes") -> "Slopes":
        """Return the slopes of ``other`` after this activation."""
        products = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        return Slopes(min(products), max(products))


NormalStep: TypeAlias = Matrix | Convolution | SpatialSum | Slopes
Step: TypeAlias = NormalStep | ChannelScale


def shapes(steps: Sequence[Step], shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the shape of the values before each of ``steps`` and after the last; ``shape`` is that of the input."""
    found = [shape]
    for step in steps:
        match step:
            case Matrix(weight):
                found.append((len(weight),))
            case Convolution(weight, axes):
                found.append((len(weight), *(axis.outputs for axis in axes)))
            case SpatialSum():
                found.append(found[-1][:1])
            case _:
                found.append(found[-1])
    return found


def apply(steps: Sequence[Step], x: Tensor) -> Tensor:
    """Apply linear ``steps`` to one sample ``x``; activations, of which only slopes are known, must have one slope."""
    for step in steps:
        match step:
            case Matrix(weight):
                x = weight @ x.flatten()
            case Convolution():
                x = step.apply(x[None])[0]
            case ChannelScale(factors):
                x = x * factors.view(-1, *[1] * (x.dim() - 1))
            case SpatialSum(factor):
                x = factor * x.flatten(1).sum(dim=1)
            case Slopes(low, high):
                if low != high:
                    raise ValueError("an activation has no known values")
                x = x * low
    return x
