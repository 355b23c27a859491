"""Frequencies of the torus on which a chain of convolutions is translation-invariant."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lipschitz.estimation.upper_bound.semidefinite.steps import Convolution


@dataclass(frozen=True)
class Frequencies:
    """Frequencies of a map on a torus, for each stage of a chain, from the input to the last map.

    Stage k has F_k frequencies. A stride s folds s^d frequencies of the stage before into one: these are rows
    f s^d to (f + 1) s^d - 1 of the stage before, where f is the row after the stride.
    """

    angles: list[Tensor]
    """By stage, ``(F_k, d)``, in radians for each step along an axis."""
    shares: Tensor
    """``(F,)`` for the last stage: the share of each frequency in a mean over all of them. Sums to one."""


def torus_size(convolutions: Sequence[Convolution]) -> tuple[int, ...]:
    """Return, by axis, the smallest size of the torus at the last stage on which no window of a convolution wraps.

    At stage k the torus is as many times larger as the product of the strides from there on. A convolution reads the
    positions -p to (outputs - 1) s - p + d (k - 1). Those outside of its map must be positions of the torus that are
    outside of the map, too, since values there are zero.
    """
    axes = len(convolutions[0].axes)
    sizes = [1] * axes
    stride = [1] * axes
    for convolution in reversed(convolutions):
        for a, axis in enumerate(convolution.axes):
            stride[a] *= axis.stride
            end = axis.position(axis.outputs - 1, axis.kernel - 1) + 1
            needed = max(axis.size + max(axis.padding, 0), end, axis.outputs * axis.stride)
            sizes[a] = max(sizes[a], -(-needed // stride[a]))
    return tuple(sizes)


def all_frequencies(sizes: Sequence[int], strides: Sequence[Sequence[int]], like: Tensor) -> Frequencies:
    """Return the frequencies of a torus that has ``sizes`` at the last stage.

    The matrices of a real kernel at f and -f are conjugates: one of each pair is left out, and the other counts twice.

    Args:
        sizes: of the torus at the last stage, by axis.
        strides: by convolution, its strides by axis.
        like: a tensor on the device of the result.
    """
    rows, weights = [], []
    for index in itertools.product(*(range(size) for size in sizes)):
        opposite = tuple(-i % size for i, size in zip(index, sizes, strict=True))
        if index <= opposite:
            rows.append([2 * math.pi * i / size for i, size in zip(index, sizes, strict=True)])
            weights.append(1.0 if index == opposite else 2.0)
    shares = torch.tensor(weights, dtype=torch.float64, device=like.device) / math.prod(sizes)
    last = torch.tensor(rows, dtype=torch.float64, device=like.device)
    return Frequencies(_stages(last, strides), shares)


def sample_frequencies(axes: int, count: int, strides: Sequence[Sequence[int]], like: Tensor) -> Frequencies:
    """Return frequencies that stand for all of them: ``count`` by axis, in the middle of as many equal parts of [0, π].

    All but the first axis have their negatives, too.
    """
    middles = [math.pi * (i + 0.5) / count for i in range(count)]
    rows = itertools.product(middles, *[[-angle for angle in middles] + middles] * (axes - 1))
    last = torch.tensor(list(rows), dtype=torch.float64, device=like.device)
    return Frequencies(_stages(last, strides), last.new_full((len(last),), 1 / len(last)))


def _stages(last: Tensor, strides: Sequence[Sequence[int]]) -> list[Tensor]:
    """Return the angles of all stages, given those of the last: an angle ω comes from (ω + 2π j) / s, 0 <= j < s."""
    stages = [last]
    for stride in reversed(strides):
        steps = torch.tensor(list(itertools.product(*(range(s) for s in stride))), dtype=last.dtype, device=last.device)
        divisor = torch.tensor(list(stride), dtype=last.dtype, device=last.device)
        stages.append(((stages[-1][:, None] + 2 * math.pi * steps) / divisor).flatten(0, 1))
    return stages[::-1]


def fourier_transform(values: Tensor, angles: Tensor, spacing: Sequence[int]) -> Tensor:
    """Return Σ_j x_j exp(-i Σ_a ω_a d_a j_a), ``(F, m, n)`` complex128, of ``values`` ``(m, n, k_1, ...)``.

    ``angles`` is ``(F, d)``; ``spacing`` holds the d_a: the dilation of a kernel, one for a map.
    """
    sizes = zip(values.shape[2:], spacing, strict=True)
    places = torch.cartesian_prod(
        *(torch.arange(size, dtype=angles.dtype, device=angles.device) * d for size, d in sizes)
    ).view(-1, angles.shape[1])
    phases = angles @ places.T
    factors = torch.polar(torch.ones_like(phases), -phases)
    return (factors @ values.flatten(2).permute(2, 0, 1).flatten(1).to(factors.dtype)).view(-1, *values.shape[:2])
