"""Processes that ask for numbers: each is sent its own, and one transfer serves all that ask."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from counting import Transfers

from lipschitz.estimation.sigma.batched_host_copies import Process, in_turn, together


def doubled(value: float, times: int, dtype: torch.dtype = torch.float64) -> Process[list[float]]:
    """Ask for ``value`` and its double, as often as said, and find all answers."""
    answers: list[float] = []
    for _ in range(times):
        scalar = torch.tensor(value, dtype=dtype)
        answers += yield scalar, 2 * scalar
    return answers


@pytest.mark.parametrize("run", [together, in_turn])
def test_each_is_sent_its_own_numbers_and_ends_when_it_will(run: Callable[..., Any]) -> None:
    processes = [doubled(1.0, 3), doubled(2.0, 0), doubled(3.0, 1), doubled(4.0, 2)]
    assert run(processes) == [[1, 2, 1, 2, 1, 2], [], [3, 6], [4, 8, 4, 8]]
    assert run([]) == []


def test_one_transfer_serves_all_that_ask() -> None:
    with Transfers() as transfers:
        together(doubled(1.0, times) for times in range(5))
    assert transfers.counts == {torch.float64: 4}
    with Transfers() as transfers:
        in_turn(doubled(1.0, times) for times in range(5))
    assert transfers.counts == {torch.float64: 1 + 2 + 3 + 4}


def test_numbers_of_two_precisions_stay_exact() -> None:
    single, double = together(doubled(1 / 3, 1, dtype) for dtype in (torch.float32, torch.float64))
    assert single[0] == torch.tensor(1 / 3, dtype=torch.float32).item()
    assert double[0] == 1 / 3


def test_an_error_of_one_ends_all() -> None:
    def failing() -> Process[list[float]]:
        yield (torch.zeros(()),)
        raise ValueError("of its own")

    with pytest.raises(ValueError, match="of its own"):
        together([failing(), doubled(1.0, 5)])
