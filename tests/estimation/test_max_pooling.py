"""Lipschitz constants of max pooling against a count of the windows that hold one value."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from lipschitz.estimation.upper_bound.pooling_and_reshaping import adaptive_max_pool_constant, max_pool_constant
from lipschitz.estimation.upper_bound.traced_call import Call, TracedValue


def called(function: nn.Module, x: torch.Tensor) -> Call:
    return Call("", function, (x,), {}, (TracedValue(x, 1.0),), function(x))


def windows(function: nn.Module, x: torch.Tensor) -> int:
    """Return the largest number of outputs that one value can determine, by setting each value high in turn."""
    flat = torch.eye(x.numel()).view(x.numel(), *x.shape[1:])
    return int((function(flat) == 1).flatten(1).sum(1).max())


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 2), st.integers(1, 3), st.integers(4, 9), st.booleans())
def test_one_axis(kernel: int, stride: int, padding: int, dilation: int, size: int, ceil: bool) -> None:
    assume(padding <= kernel // 2)
    assume(size + 2 * padding > dilation * (kernel - 1))
    pool = nn.MaxPool1d(kernel, stride, padding, dilation, ceil_mode=ceil)
    x = torch.zeros(1, 1, size)
    found = max_pool_constant(called(pool, x), 1, kernel, stride, padding, dilation).constant
    assert found == pytest.approx(math.sqrt(windows(pool, x)))


@pytest.mark.parametrize(
    ("pool", "expected"),
    [(nn.MaxPool2d(2), 1), (nn.MaxPool2d(3, 1), 3), (nn.MaxPool2d((3, 2), (2, 2), 1), math.sqrt(2))],
    ids=repr,
)
def test_two_axes_by_hand(pool: nn.MaxPool2d, expected: float) -> None:
    call = called(pool, torch.zeros(1, 1, 6, 6))
    found = max_pool_constant(call, 2, pool.kernel_size, pool.stride, pool.padding, pool.dilation)
    assert found.constant == pytest.approx(expected)


@pytest.mark.parametrize("size", range(1, 9))
def test_adaptive_windows_overlap_only_where_the_sizes_do_not_divide(size: int) -> None:
    pool = nn.AdaptiveMaxPool1d(size)
    x = torch.zeros(1, 1, 6)
    found = adaptive_max_pool_constant(called(pool, x), 1).constant
    assert math.sqrt(windows(pool, x)) <= found * (1 + 1e-12)
    if 6 % size == 0:
        assert found == 1


def test_pooling_that_returns_indices() -> None:
    x = torch.zeros(1, 1, 6, 6)
    call = Call("", F.max_pool2d, (x,), {}, (TracedValue(x, 1.0),), F.max_pool2d(x, 2, return_indices=True))
    assert max_pool_constant(call, 2, 2).constant == 1
