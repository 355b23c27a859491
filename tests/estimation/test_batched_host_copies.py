"""Algorithms that need host values: each gets its own, and one transfer serves all algorithms of a round."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from call_counters import HostCopies

from lipschitz.estimation.sigma.batched_host_copies import Algorithm, advance_one_by_one, advance_together


def doubled(value: float, times: int, dtype: torch.dtype = torch.float64) -> Algorithm[list[float]]:
    """Ask ``times`` times for ``value`` and its double, and return all answers."""
    answers: list[float] = []
    for _ in range(times):
        scalar = torch.tensor(value, dtype=dtype)
        answers += yield scalar, 2 * scalar
    return answers


@pytest.mark.parametrize("run", [advance_together, advance_one_by_one])
def test_each_algorithm_gets_its_own_values_and_ends_on_its_own(run: Callable[..., Any]) -> None:
    algorithms = [doubled(1.0, 3), doubled(2.0, 0), doubled(3.0, 1), doubled(4.0, 2)]
    assert run(algorithms) == [[1, 2, 1, 2, 1, 2], [], [3, 6], [4, 8, 4, 8]]
    assert run([]) == []


def test_one_transfer_serves_all_algorithms() -> None:
    with HostCopies() as transfers:
        advance_together(doubled(1.0, times) for times in range(5))
    assert transfers.counts == {torch.float64: 4}
    with HostCopies() as transfers:
        advance_one_by_one(doubled(1.0, times) for times in range(5))
    assert transfers.counts == {torch.float64: 1 + 2 + 3 + 4}


def test_values_of_two_dtypes_stay_exact() -> None:
    single, double = advance_together(doubled(1 / 3, 1, dtype) for dtype in (torch.float32, torch.float64))
    assert single[0] == torch.tensor(1 / 3, dtype=torch.float32).item()
    assert double[0] == 1 / 3


def test_an_error_in_one_algorithm_is_raised() -> None:
    def failing() -> Algorithm[list[float]]:
        yield (torch.zeros(()),)
        raise ValueError("failed")

    with pytest.raises(ValueError, match="failed"):
        advance_together([failing(), doubled(1.0, 5)])
