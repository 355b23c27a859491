"""Power iteration on several operators against NumPy's SVD and a plain loop, in float64."""

import copy
from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from call_counters import Launches
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from torch import nn

from lipschitz.constraints.base import Constraint
from lipschitz.constraints.gouk_projection import GoukProjection
from lipschitz.constraints.power_iteration import Operator, advance, leading_vectors, matrix_operator
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.constraints.spectral_projection import SpectralProjection
from lipschitz.estimation.layers import WeightedLayer, raw_weight
from lipschitz.observe import capturing


def matrices(seed: int, count: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=rng.integers(1, 7, 2)) for _ in range(count)]


def starts(drawn: list[np.ndarray], seed: int = 1) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    rng = np.random.default_rng(seed)
    us = [torch.from_numpy(rng.normal(size=len(matrix))) for matrix in drawn]
    return us, [torch.zeros(matrix.shape[1], dtype=torch.float64) for matrix in drawn]


def operators(drawn: list[np.ndarray]) -> list[Operator]:
    return [matrix_operator(torch.from_numpy(matrix)) for matrix in drawn]


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_each_operator_matches_a_plain_loop(seed: int, iterations: int) -> None:
    drawn = matrices(seed)
    us, vs = starts(drawn)
    expected = [u.numpy().copy() for u in us]
    sigmas = advance(operators(drawn), us, vs, iterations)
    for matrix, u, v, start, sigma in zip(drawn, us, vs, expected, sigmas, strict=True):
        left = start
        for _ in range(iterations):
            right = unit(matrix.T @ left)
            left = unit(matrix @ right)
        assert_allclose(v, right, atol=1e-12)
        assert_allclose(u, left, atol=1e-12)
        assert_allclose(sigma, np.linalg.norm(matrix @ right), rtol=1e-12)
        assert_allclose(sigma, left @ matrix @ right, rtol=1e-12)
        assert sigma <= np.linalg.norm(matrix, 2) * (1 + 1e-12)


def test_many_steps_converge_to_the_svd() -> None:
    drawn = [np.diag([3.0, -5.0, 1.0]), np.array([[0.0, 2.0], [0.0, 0.0], [1.0, 0.0]])]
    us, vs = starts(drawn)
    sigmas = advance(operators(drawn), us, vs, 60)
    assert_allclose(sigmas, [5, 2], rtol=1e-12)
    assert_allclose(us[0].abs(), [0, 1, 0], atol=1e-12)
    assert_allclose(vs[1].abs(), [0, 1], atol=1e-12)


def test_vectors_are_changed_in_place_without_gradients() -> None:
    drawn = matrices(0)
    us, vs = starts(drawn)
    addresses = [vector.data_ptr() for vector in (*us, *vs)]
    weights = [torch.from_numpy(matrix).requires_grad_() for matrix in drawn]
    sigmas = advance([matrix_operator(weight) for weight in weights], us, vs, 2)
    assert [vector.data_ptr() for vector in (*us, *vs)] == addresses
    assert not any(tensor.requires_grad for tensor in (*us, *vs, *sigmas))


def test_a_zero_operator_keeps_its_vectors() -> None:
    zero, later = np.zeros((2, 3)), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    (u, v) = leading_vectors(torch.from_numpy(zero))
    before = u.clone(), v.clone()
    assert_allclose([u.norm(), v.norm()], 1, rtol=1e-12)
    assert (u != 0).all()
    assert (v != 0).all()
    (sigma,) = advance(operators([zero]), [u], [v], 3)
    assert sigma < 1e-11
    assert_allclose(u, before[0], atol=1e-12)
    assert_allclose(v, before[1], atol=1e-12)
    (sigma,) = advance(operators([later]), [u], [v], 1)
    assert sigma == pytest.approx(2, rel=1e-12)


def diagonal(values: np.ndarray) -> np.ndarray:
    return np.diag(values)


def permuted(values: np.ndarray) -> np.ndarray:
    return np.diag(values)[np.random.default_rng(0).permutation(len(values))]


def blocks(values: np.ndarray) -> np.ndarray:
    """Return difference filters on the diagonal: their leading vector is orthogonal to that of averages."""
    return np.kron(np.diag(values), [[1.0, -1.0], [-1.0, 1.0]])


def with_zero_rows_and_columns(values: np.ndarray) -> np.ndarray:
    return np.pad(np.diag(values), ((2, 1), (1, 3)))


@settings(deadline=None, max_examples=20)
@given(
    st.sampled_from([diagonal, permuted, blocks, with_zero_rows_and_columns]),
    st.integers(2, 6),
    st.integers(0, 100),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_it_leaves_a_direction_that_no_longer_leads(
    build: Callable[[np.ndarray], np.ndarray], size: int, seed: int, dtype: torch.dtype
) -> None:
    values = np.geomspace(1, 0.1, size)
    before, after = (torch.from_numpy(build(each)).to(dtype) for each in (values, values[::-1].copy()))
    u, v = leading_vectors(before)
    # Long enough for all other components of v to underflow to zero.
    advance([matrix_operator(before)], [u], [v], 200)
    (sigma,) = advance([matrix_operator(after)], [u], [v], 200)
    assert sigma.item() == pytest.approx(np.linalg.norm(after.double().numpy(), 2), rel=1e-5)


@pytest.mark.parametrize(
    "method",
    [
        SpectralNormalization(),
        SpectralNormalization(operator="convolution"),
        SpectralProjection(mode="clip"),
        GoukProjection(lambda_bn=None),
    ],
    ids=Constraint.label,
)
@pytest.mark.parametrize("layer", [nn.Linear(2, 2), nn.Conv2d(2, 2, 1)], ids=["linear", "conv"])
def test_no_method_stays_at_a_singular_vector_that_no_longer_leads(layer: WeightedLayer, method: Constraint) -> None:
    layer, shape = copy.deepcopy(layer), (2,) if isinstance(layer, nn.Linear) else (2, 3, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.diag(torch.tensor([2.0, 1.0])).view_as(layer.weight))
        method.wrap(layer, shape)
        # u = e1 is now exactly the second singular vector of diag(1, 2).
        raw_weight(layer).copy_(torch.diag(torch.tensor([1.0, 2.0])).view_as(layer.weight))
        for _ in range(50):
            method.update(layer)
            method.project(layer)
        assert np.linalg.norm(layer.weight.flatten(1).numpy(), 2) == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_random_numbers_change_no_bit_of_a_vector_without_zeros(dtype: torch.dtype) -> None:
    drawn = torch.randn(30, 40, generator=torch.Generator().manual_seed(0), dtype=dtype)
    u = torch.randn(30, generator=torch.Generator().manual_seed(1), dtype=dtype)
    v = torch.zeros(40, dtype=dtype)
    left = u.clone()
    advance([matrix_operator(drawn)], [u], [v], 5)
    for _ in range(5):
        right = drawn.T.mv(left)
        right /= torch.linalg.vector_norm(right).clamp_min(1e-12)
        left = drawn.mv(right)
        left /= torch.linalg.vector_norm(left).clamp_min(1e-12)
    assert torch.equal(u, left)
    assert torch.equal(v, right)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000))
def test_leading_vectors_match_the_svd(seed: int) -> None:
    (matrix,) = matrices(seed, 1)
    u, v = (vector.numpy() for vector in leading_vectors(torch.from_numpy(matrix)))
    sigma = np.linalg.norm(matrix, 2)
    assert_allclose(matrix @ v, sigma * u, atol=1e-12)
    assert_allclose(matrix.T @ u, sigma * v, atol=1e-12)
    assert_allclose([np.linalg.norm(u), np.linalg.norm(v)], 1, rtol=1e-12)


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_a_look_at_the_values_the_result_is_the_same_bit_for_bit(dtype: torch.dtype, zeros: bool) -> None:
    found = []
    for block in (nullcontext, capturing):
        drawn = [torch.from_numpy(matrix).to(dtype) for matrix in matrices(0, 5)]
        us, vs = ([vector.to(dtype) for vector in side] for side in starts([one.double().numpy() for one in drawn]))
        if zeros:
            drawn[2].zero_()
            us[2], vs[2] = leading_vectors(drawn[2])
        with block():
            sigmas = advance([matrix_operator(one) for one in drawn], us, vs, 2)
        found.append([*us, *vs, *sigmas])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def launches_of_a_step(layers: int) -> int:
    weights = [torch.empty(4 + layer, 9 - layer, device="meta") for layer in range(layers)]
    us, vs = ([weight.new_empty(weight.shape[axis]) for weight in weights] for axis in (0, 1))
    with Launches() as launches:
        advance([matrix_operator(weight) for weight in weights], us, vs, 1)
    return launches.count


def test_on_a_gpu_each_operator_adds_the_launches_of_its_two_products_only() -> None:
    launches_of_a_step(8)  # Draws the numbers that fill zeros.
    assert [launches_of_a_step(layers) for layers in (1, 2, 8)] == [17 + 2, 17 + 4, 17 + 16]
