"""Power iteration on several operators against NumPy's SVD and a plain loop, in float64."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from lipschitz.constraints.power_iteration import Operator, advance, leading_vectors, matrix_operator


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


def test_a_zero_operator_gives_finite_values() -> None:
    us, vs = starts([np.zeros((2, 3))])
    (sigma,) = advance(operators([np.zeros((2, 3))]), us, vs, 3)
    assert sigma < 1e-11
    assert_allclose(us[0], 0)
    assert_allclose(vs[0], 0)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000))
def test_leading_vectors_match_the_svd(seed: int) -> None:
    (matrix,) = matrices(seed, 1)
    u, v = (vector.numpy() for vector in leading_vectors(torch.from_numpy(matrix)))
    sigma = np.linalg.norm(matrix, 2)
    assert_allclose(matrix @ v, sigma * u, atol=1e-12)
    assert_allclose(matrix.T @ u, sigma * v, atol=1e-12)
    assert_allclose([np.linalg.norm(u), np.linalg.norm(v)], 1, rtol=1e-12)
