"""Bounds of pooling, reshaping and padding against the SVD of their dense matrix."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipschitz.estimation.upper_bound.nonnegative_maps import nonnegative_norm

SHAPE = (1, 4, 6, 6)


def norm(f: Callable[[Tensor], Tensor], shape: tuple[int, ...] = SHAPE) -> float:
    size = math.prod(shape)
    identity = torch.eye(size, dtype=torch.float64).view(size, *shape)
    zero = f(torch.zeros(shape, dtype=torch.float64)).flatten()
    return float(np.linalg.norm(np.stack([f(x).flatten() - zero for x in identity]), 2))


def bound(f: Callable[[Tensor], Tensor], shape: tuple[int, ...] = SHAPE) -> float:
    return nonnegative_norm(f, torch.empty(shape, dtype=torch.float64))


EXACT = {
    "disjoint average": (nn.AvgPool2d(2), 1 / 2),
    "global average": (nn.AdaptiveAvgPool2d(1), 1 / 6),
    "mean over positions": (lambda x: x.mean((2, 3)), 1 / 6),
    "sum over positions": (lambda x: x.sum((2, 3)), 6),
    "copies": (nn.Upsample(scale_factor=2), 2),
    "flatten": (nn.Flatten(), 1),
    "a slice": (lambda x: x[:, 1:, ::2], 1),
    "one value twice": (lambda x: x[:, [0, 0]], math.sqrt(2)),
    "shuffle": (nn.PixelUnshuffle(2), 1),
    "expand": (lambda x: x.unsqueeze(1).expand(-1, 5, -1, -1, -1), math.sqrt(5)),
    "a constant border": (nn.ConstantPad2d(1, 7.0), 1),
    "nothing": (lambda x: x[:, :0], 0),
}


@pytest.mark.parametrize("name", EXACT)
def test_the_bound_is_exact_where_row_sums_and_column_sums_are_equal(name: str) -> None:
    f, expected = EXACT[name]
    assert bound(f) == pytest.approx(expected, rel=1e-12)
    if expected:
        assert norm(f) == pytest.approx(expected, rel=1e-12)


UNEVEN = {
    "overlapping average": nn.AvgPool2d(3, 2, 1),
    "an average that does not count padding": nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    "adaptive average": nn.AdaptiveAvgPool2d((4, 5)),
    "bilinear": nn.Upsample(scale_factor=2, mode="bilinear"),
    "bilinear, corners aligned": nn.Upsample(size=(9, 7), mode="bilinear", align_corners=True),
    "smaller by area": lambda x: F.interpolate(x, size=(4, 4), mode="area"),
    "reflection": nn.ReflectionPad2d(2),
    "replication": nn.ReplicationPad2d((1, 2, 0, 3)),
    "circular": nn.CircularPad2d(1),
    "windows": nn.Unfold(3, stride=2),
}


@pytest.mark.parametrize("name", UNEVEN)
def test_with_unequal_sums_the_bound_is_at_most_half_above_the_norm(name: str) -> None:
    exact = norm(UNEVEN[name])
    assert exact * (1 - 1e-12) <= bound(UNEVEN[name]) <= exact * 1.5


def test_several_outputs_are_bounded_together() -> None:
    halves = nonnegative_norm(lambda x: x.chunk(2, 1), torch.empty(SHAPE))
    assert halves == 1
    assert nonnegative_norm(lambda x: (x, x), torch.empty(SHAPE)) == pytest.approx(math.sqrt(2))
