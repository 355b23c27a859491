"""GroupSort against torch.sort, also on the fast path by NumPy."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lipschitz.models.group_sort import GroupSort

CASES = [
    (None, (7, 8)),
    (4, (7, 8)),
    (2, (7, 8)),
    (None, (3, 6, 5)),
    (3, (3, 6, 5)),
    (None, (2, 8, 3, 4)),
    (4, (2, 8, 3, 4)),
]


def by_torch(x: Tensor, group_size: int | None) -> Tensor:
    groups = x.unflatten(1, (-1, group_size or x.shape[1]))
    return torch.sort(groups, dim=2).values.flatten(1, 2)


def drawn(shape: tuple[int, ...], dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("group_size", "shape"), CASES, ids=str)
def test_values_and_gradients_equal_torchs(group_size: int | None, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x, direction = drawn(shape, dtype).requires_grad_(), drawn(shape, dtype, seed=1)
    ours, theirs = GroupSort(group_size)(x), by_torch(x, group_size)
    assert ours.dtype == dtype
    assert torch.equal(ours, theirs)
    assert torch.equal(*(torch.autograd.grad(y, x, direction)[0] for y in (ours, theirs)))


@pytest.mark.parametrize(("group_size", "shape"), CASES, ids=str)
def test_second_derivatives_equal_torchs(group_size: int | None, shape: tuple[int, ...]) -> None:
    weights = drawn(shape, seed=1)
    second = []
    for sort in (GroupSort(group_size), lambda x: by_torch(x, group_size)):
        x = drawn(shape).requires_grad_()
        (first,) = torch.autograd.grad((sort(x) ** 3 * weights).sum(), x, create_graph=True)
        second += torch.autograd.grad(first.square().sum(), x)
    assert second[0].abs().min() > 0
    torch.testing.assert_close(second[0], second[1], rtol=1e-12, atol=0)


def test_gradcheck_and_gradgradcheck_in_a_network() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 6), GroupSort(None), nn.Linear(6, 1)).double()
    # Without ties, sorting is locally linear, so numerical derivatives exist.
    x = drawn((4, 3)).requires_grad_()
    assert torch.autograd.gradcheck(net, x)
    assert torch.autograd.gradgradcheck(net, x)


@pytest.mark.parametrize(("group_size", "shape"), [(None, (4, 6)), (3, (4, 6)), (None, (2, 6, 3, 3))], ids=str)
def test_infinities_and_nan_are_sorted_like_in_torch(group_size: int | None, shape: tuple[int, ...]) -> None:
    x = drawn(shape)
    x[0, 1], x[1, 2], x[1, 4], x[1, 0] = torch.nan, torch.nan, torch.inf, -torch.inf
    ours = GroupSort(group_size)(x.requires_grad_())
    # NumPy and torch both sort NaN to the end.
    assert torch.equal(ours.isnan(), by_torch(x, group_size).isnan())
    torch.testing.assert_close(ours, by_torch(x, group_size), equal_nan=True, rtol=0, atol=0)
    ours.sum().backward()
    assert torch.equal(x.grad, torch.ones(shape, dtype=torch.float64))


def test_gradients_at_ties_are_a_permutation() -> None:
    x = torch.zeros(5, 8, dtype=torch.float64, requires_grad=True)
    direction = drawn((5, 8))
    (gradient,) = torch.autograd.grad(GroupSort(None)(x), x, direction)
    assert torch.equal(gradient.sort(dim=1).values, direction.sort(dim=1).values)


@pytest.mark.parametrize("group_size", [None, 4], ids=str)
def test_non_contiguous_inputs(group_size: int | None) -> None:
    square = drawn((8, 8))
    views = (square.T, square[:, ::2], square.flip(1), square[:1].expand(5, 8), drawn((2, 3, 3, 8)).movedim(3, 1))
    for view in views:
        assert torch.equal(GroupSort(group_size)(view), by_torch(view, group_size))


def test_the_input_is_not_modified() -> None:
    x = drawn((3, 8))
    before = x.clone()
    GroupSort(None)(x).mul_(2)
    assert torch.equal(x, before)


def test_meta_device() -> None:
    assert GroupSort(None)(torch.empty(3, 8, 2, device="meta")).shape == (3, 8, 2)


def test_numpy_is_used_for_large_groups_of_supported_dtypes(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    argsort = np.argsort
    monkeypatch.setattr("lipschitz.models.group_sort.np.argsort", lambda *a, **k: calls.append(a) or argsort(*a, **k))
    for dtype, group_size, expected in (
        (torch.float32, None, 1),
        (torch.float64, 4, 1),
        (torch.float32, 2, 0),
        (torch.bfloat16, None, 0),
    ):
        calls.clear()
        GroupSort(group_size)(drawn((3, 8), dtype))
        assert len(calls) == expected


def test_a_channel_count_that_the_group_size_does_not_divide_is_an_error() -> None:
    with pytest.raises(RuntimeError):
        GroupSort(4)(torch.zeros(2, 6))
