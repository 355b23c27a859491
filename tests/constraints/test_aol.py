"""AOL layers against the formula of the theorem on dense matrices."""

import math

import numpy as np
import pytest
import torch
from layer_strategies import dense
from numpy.testing import assert_allclose
from torch import nn

from lipschitz.constraints.aol import AOL, self_correlation_sums
from lipschitz.constraints.base import constrain
from lipschitz.estimation.layers import WeightedLayer, raw_weight


def rescaled(layer: WeightedLayer, shape: tuple[int, ...]) -> WeightedLayer:
    return constrain(layer.double(), [AOL()], shape)


def test_two_by_two_by_hand() -> None:
    # WᵀW = [[1, 2], [2, 5]], with row sums 3 and 7.
    layer = nn.Linear(2, 2)
    layer.weight.data = torch.tensor([[1.0, 2.0], [0.0, 1.0]])
    expected = [[1 / math.sqrt(3), 2 / math.sqrt(7)], [0, 1 / math.sqrt(7)]]
    assert_allclose(rescaled(layer, (2,)).weight.detach(), expected, rtol=1e-6)


def test_absolute_values_are_taken_before_the_sum() -> None:
    # WᵀW = [[2, -1], [-1, 1]].
    layer = nn.Linear(2, 2)
    layer.weight.data = torch.tensor([[1.0, 0.0], [1.0, -1.0]])
    factors = [1 / math.sqrt(3), 1 / math.sqrt(2)]
    assert_allclose(rescaled(layer, (2,)).weight.detach(), np.array([[1, 0], [1, -1]]) * factors, rtol=1e-6)


def test_a_convolution_by_hand() -> None:
    # The autocorrelation of the kernel (1, 2) is (2, 5, 2), with sum 9.
    layer = nn.Conv1d(1, 1, 2, padding=1)
    layer.weight.data = torch.tensor([[[1.0, 2.0]]])
    assert_allclose(rescaled(layer, (1, 5)).weight.detach().flatten(), [1 / 3, 2 / 3], rtol=1e-6)


def test_orthogonal_columns_are_scaled_to_unit_length() -> None:
    q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 4)))
    layer = nn.Linear(4, 6)
    layer.weight.data = torch.from_numpy(q * [0.1, 1.0, 7.0, 100.0])
    assert_allclose(rescaled(layer, (4,)).weight.detach(), q, atol=1e-6)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("kernel", [2, 3, 4])
def test_factors_match_the_dense_operator_in_one_dimension(kernel: int, stride: int, dilation: int) -> None:
    torch.manual_seed(0)
    layer = nn.Conv1d(2, 3, kernel, stride, dilation=dilation).double()
    size, inputs = 81, 2
    matrix = dense(layer, torch.Size((inputs, size)))
    sums = np.abs(matrix.T @ matrix).sum(axis=1).reshape(inputs, size)
    # The pixels under the taps in the middle of the input, where no correlation is cut off by the border.
    met = [stride * (40 // stride) + dilation * tap for tap in range(kernel)]
    expected = layer.weight.detach().numpy() / np.sqrt(sums[:, met])
    assert_allclose(rescaled(layer, (inputs, size)).weight.detach(), expected, rtol=1e-6)


def test_correlation_sums_match_plain_loops_in_two_dimensions() -> None:
    kernels = np.random.default_rng(0).normal(size=(1, 3, 2, 2, 3))
    expected = np.zeros((1, 2))
    for i in range(2):
        for j in range(2):
            for dy in range(-1, 2):
                for dx in range(-2, 3):
                    total = 0.0
                    for y in range(2):
                        for x in range(3):
                            if 0 <= y + dy < 2 and 0 <= x + dx < 3:
                                total += kernels[0, :, i, y, x] @ kernels[0, :, j, y + dy, x + dx]
                    expected[0, i] += abs(total)
    assert_allclose(self_correlation_sums(torch.from_numpy(kernels)), expected, rtol=1e-12)


def test_an_orthogonal_kernel_on_disjoint_windows_is_not_rescaled() -> None:
    # Each pixel lies in one window, so the operator is orthogonal if the reshaped kernel is.
    q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))
    layer = nn.Conv2d(2, 8, 2, stride=2)
    layer.weight.data = torch.from_numpy(q.reshape(8, 2, 2, 2))
    values = np.linalg.svd(dense(rescaled(layer, (2, 4, 4)), torch.Size((2, 4, 4))), compute_uv=False)
    assert_allclose(values, 1, rtol=1e-6)


def test_groups_and_transposed_convolutions() -> None:
    torch.manual_seed(0)
    grouped = nn.Conv1d(4, 6, 3, groups=2)
    parts = [nn.Conv1d(2, 3, 3) for _ in range(2)]
    for part, weight in zip(parts, grouped.weight.detach().chunk(2), strict=True):
        part.weight.data = weight.clone()
    expected = torch.cat([rescaled(part, (2, 7)).weight for part in parts])
    assert torch.allclose(rescaled(grouped, (4, 7)).weight, expected, rtol=1e-12)
    # The adjoint has the same norm, and the same kernel with input and output channels swapped.
    transposed, adjoint = nn.ConvTranspose2d(3, 2, 3, 2), nn.Conv2d(2, 3, 3, 2)
    adjoint.weight.data = transposed.weight.detach().clone()
    assert torch.equal(rescaled(transposed, (3, 4, 4)).weight, rescaled(adjoint, (2, 9, 9)).weight)


def test_a_zero_column_stays_zero_and_has_a_nonzero_gradient() -> None:
    layer = nn.Linear(2, 2)
    layer.weight.data = torch.tensor([[3.0, 0.0], [4.0, 0.0]])
    net = rescaled(layer, (2,))
    assert_allclose(net.weight.detach(), [[0.6, 0], [0.8, 0]], rtol=1e-6)
    net.weight.sum().backward()
    assert torch.isfinite(raw_weight(net).grad).all()
    assert (raw_weight(net).grad[:, 1] != 0).all()


def test_gradcheck() -> None:
    torch.manual_seed(0)
    for layer, shape in ((nn.Linear(3, 2), (3,)), (nn.Conv2d(2, 2, 3, 2, groups=2), (2, 5, 5))):
        net = rescaled(layer, shape)
        (step,) = net.parametrizations["weight"]
        assert torch.autograd.gradcheck(step, raw_weight(net).detach().requires_grad_())
