"""The ring of losses: what it keeps, forgets, and goes on from."""

import math

import pytest
import torch

from lipschitz.training.ring import Ring

CPU = torch.device("cpu")


def ring(*values: float) -> Ring:
    made = Ring(3, CPU)
    for value in values:
        made.write(torch.tensor(value))
    return made


def test_it_is_empty_at_first() -> None:
    assert float(ring().last) == 0
    assert math.isnan(ring().mean())


@pytest.mark.parametrize(
    ("values", "mean"), [((4.0,), 4.0), ((1.0, 3.0), 2.0), ((1.0, 2.0, 6.0), 3.0), ((1.0, 2.0, 6.0, 7.0), 5.0)]
)
def test_the_mean_is_of_the_last_values(values: tuple[float, ...], mean: float) -> None:
    assert ring(*values).mean() == mean
    assert float(ring(*values).last) == values[-1]


def test_a_value_that_is_not_finite_is_seen_until_it_is_overwritten() -> None:
    made = ring(1.0, math.nan)
    assert not all(torch.isfinite(tensor).all() for tensor in made.tensors())
    for _ in range(3):
        made.write(torch.tensor(1.0))
    assert all(torch.isfinite(tensor).all() for tensor in made.tensors())


def test_it_goes_on_from_a_state_in_place() -> None:
    made, other = ring(1.0, 2.0, 6.0, 7.0), ring(9.0)
    addresses = [tensor.data_ptr() for tensor in other.tensors()]
    state = made.state_dict()
    made.write(torch.tensor(100.0))
    other.load_state_dict(state)
    assert (other.mean(), float(other.last)) == (5.0, 7.0)
    assert [tensor.data_ptr() for tensor in other.tensors()] == addresses
    other.write(torch.tensor(8.0))
    assert other.mean() == 7.0
