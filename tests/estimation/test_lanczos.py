"""The largest singular value by Lanczos bidiagonalisation against NumPy's SVD."""

import numpy as np
import pytest
import torch
from call_counters import AtenCalls, HostCopies
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lipschitz.estimation.sigma.batched_host_copies import Algorithm, advance_together
from lipschitz.estimation.sigma.lanczos import (
    MIN_STEPS,
    LeadingSingularValue,
    _meets_tolerance,
    lanczos,
    leading_singular_value,
)

SIZES = st.integers(1, 9)
SEEDS = st.integers(0, 2**32 - 1)


def estimate(matrix: NDArray[np.float64], start: NDArray[np.float64] | None = None, **options: float) -> float:
    a = torch.from_numpy(np.ascontiguousarray(matrix))
    if start is None:
        start = np.random.default_rng(7).normal(size=matrix.shape[1])
    return leading_singular_value(lambda x: a @ x, lambda y: a.T @ y, torch.from_numpy(start), **options).sigma


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
def test_matrices_of_small_integers(rows: int, columns: int, seed: int) -> None:
    check(np.random.default_rng(seed).integers(-2, 3, size=(rows, columns)).astype(float))


@pytest.mark.parametrize("shape", [(1, 1), (4, 7)])
def test_the_zero_operator(shape: tuple[int, int]) -> None:
    assert estimate(np.zeros(shape)) == 0


@pytest.mark.parametrize("value", [-2.5, 1e-30, 1e30])
def test_a_one_by_one_matrix(value: float) -> None:
    assert estimate(np.array([[value]])) == pytest.approx(abs(value))


def test_an_operator_with_a_one_dimensional_range() -> None:
    # After the first step A v is an exact multiple of the only left vector, so the residual is zero; σ is 5, not 3.
    for matrix in ([[3.0, 4.0]], [[3.0, 4.0], [0.0, 0.0]]):
        assert estimate(np.array(matrix), np.array([1.0, 0.0])) == pytest.approx(5)


def test_equal_and_clustered_singular_values() -> None:
    rng = np.random.default_rng(0)
    left, _ = np.linalg.qr(rng.normal(size=(60, 60)))
    right, _ = np.linalg.qr(rng.normal(size=(80, 80)))
    check(left)
    check(left @ np.diag(1 - 1e-3 * np.arange(60)) @ right[:60])


def test_after_max_steps_the_value_is_below_sigma() -> None:
    matrix = np.diag(np.linspace(0, 1, 200))
    calls = []

    def forward(x: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return torch.from_numpy(matrix) @ x

    start = torch.ones(200, dtype=torch.float64)
    value = leading_singular_value(forward, forward, start, tolerance=0.0, max_steps=5).sigma
    assert len(calls) == 10, "five times A and five times its adjoint"
    assert 0.9 < value < 1


def test_any_shape_of_input_and_output() -> None:
    matrix = torch.from_numpy(np.random.default_rng(0).normal(size=(6, 8)))
    start = torch.ones(2, 4, dtype=torch.float64)
    found = leading_singular_value(
        lambda x: (matrix @ x.flatten()).view(3, 2), lambda y: (matrix.T @ y.flatten()).view(2, 4), start
    )
    assert found.sigma == pytest.approx(np.linalg.norm(matrix.numpy(), 2), rel=1e-4)


def run(matrix: NDArray[np.float64], start: NDArray[np.float64], **options: float) -> LeadingSingularValue:
    a = torch.from_numpy(matrix)
    return leading_singular_value(lambda x: a @ x, lambda y: a.T @ y, torch.from_numpy(start), **options)


def steps(matrix: NDArray[np.float64], start: NDArray[np.float64]) -> int:
    a, calls = torch.from_numpy(matrix), []
    leading_singular_value(lambda x: calls.append(1) or a @ x, lambda y: a.T @ y, torch.from_numpy(start))
    return len(calls)


def clustered() -> NDArray[np.float64]:
    """Return a diagonal matrix with 999 singular values up to 0.995 and one of 1."""
    return np.diag(np.concatenate([np.linspace(0.0, 0.995, 999), [1.0]]))


@pytest.mark.parametrize("second", [0, 500, 998])
def test_a_start_near_another_singular_vector(second: int) -> None:
    # The residual of the start itself is small at once; the residuals of other Ritz values are not.
    start = np.random.default_rng(0).normal(size=1000) / np.sqrt(1000) * 0.003
    start[second] += 1
    found = run(clustered(), start)
    assert found.converged
    assert found.sigma == pytest.approx(1, rel=1e-3)


def test_the_next_start_shortens_the_next_run_and_finds_another_leading_value() -> None:
    rng = np.random.default_rng(0)
    random = rng.normal(size=1000) / np.sqrt(1000)
    matrix = np.diag(np.linspace(0.0, 1.0, 1000))
    kept = run(matrix, random).next_start.numpy()
    assert np.linalg.norm(kept) == pytest.approx(1)
    moved = matrix + 1e-3 * rng.normal(size=matrix.shape) / np.sqrt(1000)
    assert steps(moved, kept + 0.1 * random) < steps(moved, random) / 1.5
    moved[900, 900] = 1.01
    assert run(moved, kept + 0.1 * random).sigma == pytest.approx(1.01, rel=1e-3)


def test_converged_is_true_if_the_tolerance_was_met() -> None:
    start = np.ones(1000)
    assert not run(clustered(), start, max_steps=10).converged
    assert run(clustered(), start).converged
    assert run(np.zeros((3, 4)), np.ones(4)).converged


@pytest.mark.parametrize(
    ("second", "last", "met"),
    [
        # With a tolerance of 0.1 the first interval must not reach below 0.81 of θ₁², and none above 1.21 of it.
        (0.5, (0.18, 0.0), True),
        (0.5, (0.2, 0.0), False),
        (0.9, (0.0, 0.44), True),
        (0.9, (0.0, -0.45), False),
    ],
)
def test_the_tolerance_by_hand(second: float, last: tuple[float, float], met: bool) -> None:
    theta = torch.tensor([1.0, second], dtype=torch.float64)
    assert _meets_tolerance(theta, torch.tensor(last, dtype=torch.float64), 1.0, 0.1) is met
    assert _meets_tolerance(4 * theta, torch.tensor(last, dtype=torch.float64), 4.0, 0.1) is met, "whatever the scale"


def test_the_next_start_by_hand() -> None:
    # Three steps exhaust the space, so the Ritz vectors are the unit vectors, weighted by (θ / θ₁)^64.
    weights = np.array([1.0, 0.5, 0.25]) ** (1 / 16)
    kept = run(np.diag(weights), np.ones(3)).next_start.numpy()
    expected = np.array([1.0, 0.5**4, 0.25**4])
    assert np.abs(kept) == pytest.approx(expected / np.linalg.norm(expected), rel=1e-6)


def test_the_next_start_of_the_zero_operator() -> None:
    assert run(np.zeros((3, 4)), np.ones(4)).next_start.numpy() == pytest.approx(np.full(4, 0.5))


def test_a_single_precision_operator() -> None:
    matrix = torch.from_numpy(np.random.default_rng(0).normal(size=(40, 60))).float()
    found = leading_singular_value(lambda x: matrix @ x, lambda y: matrix.T @ y, torch.ones(60))
    assert found.next_start.dtype == torch.float32
    assert found.sigma == pytest.approx(np.linalg.norm(matrix.numpy(), 2), rel=1e-3)


def reference_lanczos(a: NDArray[np.float64], start: NDArray[np.float64], tolerance: float) -> tuple[int, float]:
    """Return the number of steps and σ by a NumPy loop that computes the SVD of the bidiagonal matrix at every step."""
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
    """Return operators and starts: slow and fast to converge, low rank, zero, 1x1, and with a warm start."""
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
        (slow, run(slow, cold).next_start.numpy() + 0.1 * cold / np.linalg.norm(cold)),
        (np.diag(np.linspace(0, 1, 1000)), rng.normal(size=1000)),
    ]


def algorithm(
    matrix: NDArray[np.float64], start: NDArray[np.float64], dtype: torch.dtype
) -> Algorithm[LeadingSingularValue]:
    a = torch.from_numpy(matrix).to(dtype)
    return lanczos(lambda x: a @ x, lambda y: a.T @ y, torch.from_numpy(start).to(dtype))


@pytest.mark.parametrize("index", range(7))
@pytest.mark.parametrize("tolerance", [1e-3, 1e-8])
def test_it_stops_at_the_same_step_as_a_loop_with_an_svd_at_every_step(index: int, tolerance: float) -> None:
    matrix, start = problems()[index]
    a, calls = torch.from_numpy(matrix), []
    found = leading_singular_value(
        lambda x: calls.append(1) or a @ x, lambda y: a.T @ y, torch.from_numpy(start), tolerance=tolerance
    )
    expected, sigma = reference_lanczos(matrix, start, tolerance)
    assert len(calls) == expected
    assert found.sigma == pytest.approx(sigma, rel=1e-10)


def test_operators_advanced_together_have_the_same_results_as_alone() -> None:
    lengths = [steps(*problem) for problem in problems()]
    assert len(set(lengths)) >= 5, "they end at different steps"
    found = advance_together(algorithm(*problem, torch.float64) for problem in problems())
    for one, (matrix, start) in zip(found, problems(), strict=True):
        alone = run(matrix, start)
        assert one.sigma == pytest.approx(alone.sigma, rel=1e-10)
        assert one.converged == alone.converged
        assert one.next_start.numpy() == pytest.approx(alone.next_start.numpy(), abs=1e-10)


def test_one_device_to_host_copy_in_a_step_serves_all_operators() -> None:
    # Host tensors are in float64; tensors that stand for a device's are in float32.
    slow, cold = problems()[0]
    with HostCopies() as alone:
        advance_together([algorithm(slow, cold, torch.float32)])
    assert alone.counts[torch.float32] == steps(slow, cold) > MIN_STEPS
    with HostCopies() as many:
        advance_together([algorithm(slow, cold * scale, torch.float32) for scale in (1, 2, 3)])
    assert many.counts[torch.float32] == alone.counts[torch.float32]


def test_no_svd_is_computed_before_the_first_step_at_which_it_may_stop() -> None:
    matrix, start = problems()[1]
    with AtenCalls() as calls:
        taken = steps(matrix, start)
    assert taken >= MIN_STEPS
    assert calls.counts["_linalg_svd"] == taken - MIN_STEPS + 1


def test_with_cancellation_host_values_are_requested_twice_in_a_step() -> None:
    # A component along the start is added to the adjoint. Reorthogonalisation subtracts it, and the norm of the
    # residual is then requested a second time.
    matrix, start = problems()[1]
    a, first = torch.from_numpy(matrix), torch.from_numpy(start / np.linalg.norm(start))
    asked = []

    def watched(of: Algorithm[LeadingSingularValue]) -> Algorithm[LeadingSingularValue]:
        answers = None
        while True:
            try:
                asked.append(of.send(answers))
            except StopIteration as end:
                return end.value
            answers = yield asked[-1]

    (found,) = advance_together([watched(lanczos(lambda x: a @ x, lambda y: a.T @ y + 1e6 * first, first))])
    assert [len(scalars) for scalars in asked] == [3, 1] * steps(matrix, start)
    assert found.sigma == pytest.approx(run(matrix, start).sigma, rel=1e-8)
