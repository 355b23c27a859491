"""The largest singular value by Lanczos bidiagonalisation against NumPy's SVD."""

import numpy as np
import pytest
import torch
from counting import Calls, Transfers
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lipschitz.estimation.sigma.batched_host_copies import Process, together
from lipschitz.estimation.sigma.lanczos import FEWEST, Leading, lanczos, largest_singular_value, leading

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


def run(matrix: NDArray[np.float64], start: NDArray[np.float64], **options: float) -> Leading:
    a = torch.from_numpy(matrix)
    return leading(lambda x: a @ x, lambda y: a.T @ y, torch.from_numpy(start), **options)


def steps(matrix: NDArray[np.float64], start: NDArray[np.float64]) -> int:
    a, calls = torch.from_numpy(matrix), []
    leading(lambda x: calls.append(1) or a @ x, lambda y: a.T @ y, torch.from_numpy(start))
    return len(calls)


def clustered() -> NDArray[np.float64]:
    """Return a diagonal matrix of many singular values up to 0.995, and one that leads by a little."""
    return np.diag(np.concatenate([np.linspace(0.0, 0.995, 999), [1.0]]))


@pytest.mark.parametrize("second", [0, 500, 998])
def test_a_start_that_is_nearly_another_singular_vector_is_left(second: int) -> None:
    # Its own residual is small at once; that of the search for others is not.
    start = np.random.default_rng(0).normal(size=1000) / np.sqrt(1000) * 0.003
    start[second] += 1
    found = run(clustered(), start)
    assert found.converged
    assert found.sigma == pytest.approx(1, rel=1e-3)


def test_what_is_kept_makes_the_next_run_shorter_and_finds_another_leading_value() -> None:
    rng = np.random.default_rng(0)
    random = rng.normal(size=1000) / np.sqrt(1000)
    matrix = np.diag(np.linspace(0.0, 1.0, 1000))
    kept = run(matrix, random).kept.numpy()
    assert np.linalg.norm(kept) == pytest.approx(1)
    moved = matrix + 1e-3 * rng.normal(size=matrix.shape) / np.sqrt(1000)
    assert steps(moved, kept + 0.1 * random) < steps(moved, random) / 1.5
    moved[900, 900] = 1.01
    assert run(moved, kept + 0.1 * random).sigma == pytest.approx(1.01, rel=1e-3)


def test_it_says_whether_it_met_its_tolerance() -> None:
    start = np.ones(1000)
    assert not run(clustered(), start, max_steps=10).converged
    assert run(clustered(), start).converged
    assert run(np.zeros((3, 4)), np.ones(4)).converged


def test_the_zero_operator_keeps_a_start() -> None:
    assert run(np.zeros((3, 4)), np.ones(4)).kept.numpy() == pytest.approx(np.full(4, 0.5))


def test_a_single_precision_operator() -> None:
    matrix = torch.from_numpy(np.random.default_rng(0).normal(size=(40, 60))).float()
    found = leading(lambda x: matrix @ x, lambda y: matrix.T @ y, torch.ones(60))
    assert found.kept.dtype == torch.float32
    assert found.sigma == pytest.approx(np.linalg.norm(matrix.numpy(), 2), rel=1e-3)


def looked_at_every_step(a: NDArray[np.float64], start: NDArray[np.float64], tolerance: float) -> tuple[int, float]:
    """Return how many steps the process takes and σ, by a loop that decomposes the bidiagonal matrix at each."""
    rights, diagonal, upper = [start / np.linalg.norm(start)], [], []
    left = a @ rights[0]
    while True:
        diagonal.append(np.linalg.norm(left))
        p, theta, _ = np.linalg.svd(np.diag(diagonal) + np.diag(upper, 1))
        noise = 100 * np.finfo(float).eps * theta[0]
        if diagonal[-1] <= noise:
            break
        left = left / diagonal[-1]
        rest = a.T @ left
        for _ in range(2):
            rest = rest - np.transpose(rights) @ (np.array(rights) @ rest)
        beta = np.linalg.norm(rest)
        if beta <= noise or len(rights) == len(start):
            break
        interval = theta * beta * abs(p[-1])
        low, high = theta[0] ** 2 - interval[0], max(theta**2 + interval)
        known = low >= ((1 - tolerance) * theta[0]) ** 2 and high <= ((1 + tolerance) * theta[0]) ** 2
        if known and len(rights) >= 24:
            break
        upper.append(beta)
        rights.append(rest / beta)
        left = a @ rights[-1] - beta * left
    return len(rights), float(theta[0])


def problems() -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return operators and starts: slow and fast ones, of low rank, zero, one number, and a warm start."""
    rng = np.random.default_rng(3)
    slow, fast = clustered(), np.diag([10.0, *np.linspace(0, 1, 99)])
    low = rng.normal(size=(40, 3)) @ rng.normal(size=(3, 30))
    cold = rng.normal(size=1000)
    return [
        (slow, cold),
        (fast, rng.normal(size=100)),
        (low, rng.normal(size=30)),
        (np.zeros((5, 4)), rng.normal(size=4)),
        (np.array([[-3.0]]), np.ones(1)),
        (slow, run(slow, cold).kept.numpy() + 0.1 * cold / np.linalg.norm(cold)),
        (np.diag(np.linspace(0, 1, 1000)), rng.normal(size=1000)),
    ]


def process(matrix: NDArray[np.float64], start: NDArray[np.float64], dtype: torch.dtype) -> Process[Leading]:
    a = torch.from_numpy(matrix).to(dtype)
    return lanczos(lambda x: a @ x, lambda y: a.T @ y, torch.from_numpy(start).to(dtype))


@pytest.mark.parametrize("index", range(7))
@pytest.mark.parametrize("tolerance", [1e-3, 1e-8])
def test_it_ends_where_looking_at_every_step_would_end_it(index: int, tolerance: float) -> None:
    matrix, start = problems()[index]
    a, calls = torch.from_numpy(matrix), []
    found = leading(lambda x: calls.append(1) or a @ x, lambda y: a.T @ y, torch.from_numpy(start), tolerance=tolerance)
    expected, sigma = looked_at_every_step(matrix, start, tolerance)
    assert len(calls) == expected
    assert found.sigma == pytest.approx(sigma, rel=1e-10)


def test_several_together_each_find_what_they_find_alone() -> None:
    lengths = [steps(*problem) for problem in problems()]
    assert len(set(lengths)) >= 5, "they end at different steps"
    found = together(process(*problem, torch.float64) for problem in problems())
    for one, (matrix, start) in zip(found, problems(), strict=True):
        alone = run(matrix, start)
        assert one.sigma == pytest.approx(alone.sigma, rel=1e-10)
        assert one.converged == alone.converged
        assert one.kept.numpy() == pytest.approx(alone.kept.numpy(), abs=1e-10)


def test_a_device_is_waited_for_once_a_step_and_as_often_for_one_as_for_many() -> None:
    # What the host decomposes is in float64, and what stands for a device's in float32.
    slow, cold = problems()[0]
    with Transfers() as alone:
        together([process(slow, cold, torch.float32)])
    assert alone.counts[torch.float32] == steps(slow, cold) > FEWEST
    with Transfers() as many:
        together([process(slow, cold * scale, torch.float32) for scale in (1, 2, 3)])
    assert many.counts[torch.float32] == alone.counts[torch.float32]


def test_nothing_is_decomposed_before_it_could_stop() -> None:
    matrix, start = problems()[1]
    with Calls() as calls:
        taken = steps(matrix, start)
    assert taken >= FEWEST
    assert calls.counts["_linalg_svd"] == taken - FEWEST + 1


def test_where_much_cancels_it_asks_twice_a_step() -> None:
    # What the adjoint adds to the true one lies along the start, and is taken out again; what is left has to be asked.
    matrix, start = problems()[1]
    a, first = torch.from_numpy(matrix), torch.from_numpy(start / np.linalg.norm(start))
    asked = []

    def watched(of: Process[Leading]) -> Process[Leading]:
        answers = None
        while True:
            try:
                asked.append(of.send(answers))
            except StopIteration as end:
                return end.value
            answers = yield asked[-1]

    (found,) = together([watched(lanczos(lambda x: a @ x, lambda y: a.T @ y + 1e6 * first, first))])
    assert [len(scalars) for scalars in asked] == [3, 1] * steps(matrix, start)
    assert found.sigma == pytest.approx(run(matrix, start).sigma, rel=1e-8)
