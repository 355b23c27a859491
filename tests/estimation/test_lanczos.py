"""The largest singular value by Lanczos bidiagonalisation against NumPy's SVD."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lipschitz.estimation.lanczos import largest_singular_value

SIZES = st.integers(1, 9)
SEEDS = st.integers(0, 2**32 - 1)


def estimate(matrix: NDArray[np.float64], start: NDArray[np.float64] | None = None, **options: float) -> float:
    a = torch.from_numpy(np.ascontiguousarray(matrix))
    if start is None:
        start = np.random.default_rng(7).normal(size=matrix.shape[1])
    return largest_singular_value(lambda x: a @ x, lambda y: a.T @ y, torch.from_numpy(start), **options)


def check(matrix: NDArray[np.float64]) -> None:
    exact = np.linalg.norm(matrix, 2)
    assert estimate(matrix) <= exact * (1 + 1e-12) + 1e-300
    assert estimate(matrix) >= exact * (1 - 1e-3)
    assert estimate(matrix, tolerance=1e-9) == pytest.approx(exact, rel=1e-8)


@settings(deadline=None, max_examples=80)
@given(rows=SIZES, columns=SIZES, rank=SIZES, seed=SEEDS)
def test_matrices_of_any_shape_and_rank(rows: int, columns: int, rank: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    check(rng.normal(size=(rows, rank)) @ rng.normal(size=(rank, columns)))


@settings(deadline=None, max_examples=80)
@given(rows=st.integers(1, 5), columns=st.integers(1, 5), seed=SEEDS)
def test_matrices_of_small_integers_in_which_much_cancels(rows: int, columns: int, seed: int) -> None:
    check(np.random.default_rng(seed).integers(-2, 3, size=(rows, columns)).astype(float))


@pytest.mark.parametrize("shape", [(1, 1), (4, 7)])
def test_the_zero_operator(shape: tuple[int, int]) -> None:
    assert estimate(np.zeros(shape)) == 0


@pytest.mark.parametrize("value", [-2.5, 1e-30, 1e30])
def test_a_number(value: float) -> None:
    assert estimate(np.array([[value]])) == pytest.approx(abs(value))


def test_an_operator_whose_range_one_vector_exhausts() -> None:
    # After the first step A v is a multiple of the one left vector, exactly: nothing is left over, and σ is 5, not 3.
    for matrix in ([[3.0, 4.0]], [[3.0, 4.0], [0.0, 0.0]]):
        assert estimate(np.array(matrix), np.array([1.0, 0.0])) == pytest.approx(5)


def test_equal_and_clustered_singular_values() -> None:
    rng = np.random.default_rng(0)
    left, _ = np.linalg.qr(rng.normal(size=(60, 60)))
    right, _ = np.linalg.qr(rng.normal(size=(80, 80)))
    check(left)
    check(left @ np.diag(1 - 1e-3 * np.arange(60)) @ right[:60])


def test_it_stops_at_the_largest_number_of_steps_from_below() -> None:
    matrix = np.diag(np.linspace(0, 1, 200))
    calls = []

    def forward(x: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return torch.from_numpy(matrix) @ x

    start = torch.ones(200, dtype=torch.float64)
    value = largest_singular_value(forward, forward, start, tolerance=0.0, max_steps=5)
    assert len(calls) == 10, "five times A and five times its adjoint"
    assert 0.9 < value < 1


def test_any_shape_of_input_and_output() -> None:
    matrix = torch.from_numpy(np.random.default_rng(0).normal(size=(6, 8)))
    start = torch.ones(2, 4, dtype=torch.float64)
    value = largest_singular_value(
        lambda x: (matrix @ x.flatten()).view(3, 2), lambda y: (matrix.T @ y.flatten()).view(2, 4), start
    )
    assert value == pytest.approx(np.linalg.norm(matrix.numpy(), 2), rel=1e-4)
