"""Björck's iteration against NumPy's singular value decomposition."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_strategies import dense
from numpy.testing import assert_allclose
from torch import nn

from lipschitz.constraints.base import constrain
from lipschitz.constraints.bjorck import Bjorck, Orthonormalized, bjorck_step, divided_by_norm_bound
from lipschitz.estimation.layers import WeightedLayer, raw_weight

DIMENSIONS, SEEDS = st.integers(1, 8), st.integers(0, 1000)


def orthonormalized(layer: WeightedLayer, shape: tuple[int, ...], **fields: float) -> WeightedLayer:
    return constrain(layer.double(), [Bjorck(**fields)], shape)


def test_one_step_by_hand() -> None:
    # σ (3 - σ²) / 2: 1 stays, 1/2 becomes 11/16, 0 stays.
    after = bjorck_step(torch.diag(torch.tensor([1.0, 0.5, 0.0], dtype=torch.float64))[None])
    assert_allclose(after[0], np.diag([1.0, 11 / 16, 0.0]), atol=1e-15)


@pytest.mark.parametrize("iterations", [1, 2, 5])
def test_iterations_change_singular_values_but_not_singular_vectors(iterations: int) -> None:
    matrix = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    u, values, vh = np.linalg.svd(divided_by_norm_bound(matrix[None])[0].numpy(), full_matrices=False)
    for _ in range(iterations):
        values = values * (3 - values**2) / 2
    layer = nn.Linear(5, 3)
    layer.weight.data = matrix
    weight = orthonormalized(layer, (5,), iterations=iterations).weight.detach()
    assert_allclose(weight, u @ np.diag(values) @ vh, rtol=0, atol=1e-6)


@settings(deadline=None, max_examples=60)
@given(rows=DIMENSIONS, columns=DIMENSIONS, exponent=st.integers(-4, 4), seed=SEEDS)
def test_the_initial_norm_is_just_below_one(rows: int, columns: int, exponent: int, seed: int) -> None:
    matrix = 10.0**exponent * np.random.default_rng(seed).normal(size=(rows, columns))
    largest = np.linalg.norm(divided_by_norm_bound(torch.from_numpy(matrix)[None])[0], 2)
    assert min(rows, columns) ** (-1 / 32) * (1 - 1e-9) <= largest <= 1


@settings(deadline=None, max_examples=60)
@given(rows=DIMENSIONS, columns=DIMENSIONS, seed=SEEDS)
def test_it_converges_to_orthonormal_rows_or_columns(rows: int, columns: int, seed: int) -> None:
    torch.manual_seed(seed)
    raw = torch.randn(rows, columns, dtype=torch.float64)
    layer = nn.Linear(columns, rows)
    layer.weight.data = raw
    weight = orthonormalized(layer, (columns,), iterations=60).weight.detach().numpy()
    gram = weight @ weight.T if rows <= columns else weight.T @ weight
    assert_allclose(gram, np.eye(min(rows, columns)), atol=1e-5)
    # The nearest orthonormal matrix is the polar factor of the raw one.
    u, _, vh = np.linalg.svd(raw.numpy(), full_matrices=False)
    assert_allclose(weight, u @ vh, atol=1e-5)


def test_the_float64_last_step_repairs_rounding_errors() -> None:
    # bfloat16 has 8 bits, so W is orthonormal up to about 1 %. One exact step squares that error.
    torch.manual_seed(0)
    step = Orthonormalized(1.0, iterations=20, groups=1, factor=1.0)
    values = torch.linalg.svdvals(step.bounded(torch.randn(20, 60, dtype=torch.bfloat16)))
    assert values.dtype == torch.float64
    assert 1 - 1e-3 <= values[-1] <= values[0] <= 1 + 1e-12


def test_a_convolution_is_divided_by_the_root_of_the_number_of_windows_per_pixel() -> None:
    torch.manual_seed(0)
    for layer, size, seen in (
        (nn.Conv2d(2, 3, 3, padding=1), 5, 9),
        (nn.Conv2d(2, 3, 4, stride=2, padding=1), 8, 4),
        (nn.Conv2d(2, 3, 3, padding=1), 1, 1),
        (nn.Conv1d(2, 3, 3, dilation=2, stride=2), 9, 3),
        (nn.ConvTranspose2d(2, 3, 4, stride=2, padding=1), 4, 4),
    ):
        shape = (2,) + (size,) * len(layer.kernel_size)
        weight = orthonormalized(layer, shape, iterations=40).weight.detach()
        # A transposed convolution stores the kernel of its adjoint, with the input channels first.
        assert_allclose(np.linalg.svd(weight.flatten(1), compute_uv=False), 1 / math.sqrt(seen), rtol=1e-5)
        assert np.linalg.norm(dense(layer, torch.Size(shape)), 2) <= 1


def test_a_convolution_with_disjoint_windows_is_orthogonal() -> None:
    torch.manual_seed(0)
    layer = orthonormalized(nn.Conv2d(3, 12, 2, stride=2), (3, 6, 6), iterations=40)
    values = np.linalg.svd(dense(layer, torch.Size((3, 6, 6))), compute_uv=False)
    assert_allclose(values, 1, rtol=1e-5)


def test_groups_are_orthonormalised_separately() -> None:
    torch.manual_seed(0)
    layer = nn.Conv1d(4, 6, 1, groups=2)
    layer.weight.data[:3] *= 100
    weight = orthonormalized(layer, (4, 3), iterations=40).weight.detach()
    for part in weight.chunk(2):
        assert_allclose(np.linalg.svd(part.flatten(1), compute_uv=False), 1, rtol=1e-5)


def test_gradcheck() -> None:
    torch.manual_seed(0)
    for layer, shape in ((nn.Linear(2, 3), (2,)), (nn.Conv1d(2, 2, 3, groups=2), (2, 5))):
        net = orthonormalized(layer, shape, iterations=3)
        (step,) = net.parametrizations["weight"]
        assert torch.autograd.gradcheck(step, raw_weight(net).detach().requires_grad_())
