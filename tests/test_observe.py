"""Scalars of a step: what a ring keeps, forgets, and goes on from; what is observed, and where."""

import math
from typing import Any

import pytest
import torch

from lipschitz.observe import LENGTH, NamedRings, Ring, capturing, observe

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


def test_outside_a_step_nothing_is_observed() -> None:
    rings = NamedRings(CPU)
    observe("before", torch.ones(()))
    with rings.recording():
        observe("inside", torch.ones(()))
    observe("after", torch.ones(()))
    assert rings.means() == {"inside": 1}


def test_a_step_that_raises_ends_the_recording() -> None:
    rings = NamedRings(CPU)
    with pytest.raises(ZeroDivisionError), rings.recording():
        raise ZeroDivisionError
    observe("after", torch.ones(()))
    assert rings.means() == {}


def test_each_name_has_the_mean_of_its_last_values() -> None:
    rings = NamedRings(CPU)
    with rings.recording():
        for value in range(LENGTH + 10):
            observe("all", torch.tensor([float(value)], requires_grad=True))
            if value % 2:
                observe("odd", torch.tensor(value, dtype=torch.bfloat16))
    assert rings.means() == {"all": 10 + (LENGTH - 1) / 2, "odd": (LENGTH + 10) / 2}


def test_a_mean_is_undefined_as_long_as_a_value_is() -> None:
    rings = NamedRings(CPU)
    with rings.recording():
        observe("value", torch.tensor(math.nan))
        observe("other", torch.tensor(1.0))
        assert math.isnan(rings.means()["value"])
        assert rings.means()["other"] == 1
        for _ in range(LENGTH):
            observe("value", torch.tensor(2.0))
    assert rings.means()["value"] == 2


@pytest.mark.parametrize(
    ("value", "got"),
    [
        (1.0, "float"),
        (torch.ones(2), r"shape \(2,\) on cpu"),
        (torch.ones((), device="meta"), r"shape \(\) on meta"),
    ],
)
def test_only_a_scalar_tensor_of_the_device_can_be_observed(value: Any, got: str) -> None:
    with (
        NamedRings(CPU).recording(),
        pytest.raises(TypeError, match=rf"^observe\('x'\): expected a tensor of one element on cpu, got {got}$"),
    ):
        observe("x", value)


@pytest.mark.parametrize("name", ["w1", "w1/mine"])
def test_the_name_of_a_metric_is_refused(name: str) -> None:
    with (
        NamedRings(CPU, {"w1"}).recording(),
        pytest.raises(ValueError, match=f"observe\\('{name}'\\): that is the name of a metric of lipschitz"),
    ):
        observe(name, torch.ones(()))


def test_a_new_name_is_refused_while_a_graph_is_captured() -> None:
    rings = NamedRings(CPU)
    with rings.recording():
        observe("known", torch.ones(()))
        with capturing():
            observe("known", torch.ones(()))
            with pytest.raises(RuntimeError, match=r"observe\('new'\) was first called in a step that a CUDA graph"):
                observe("new", torch.ones(()))
        observe("new", torch.ones(()))
    assert rings.means() == {"known": 1, "new": 1}


def test_named_rings_go_back_to_a_state_in_place() -> None:
    rings, other = NamedRings(CPU), NamedRings(CPU)
    assert rings.state_dict() == {}
    with rings.recording():
        observe("value", torch.tensor(2.0))
    state = rings.state_dict()
    with rings.recording():
        observe("value", torch.tensor(4.0))
        observe("later", torch.tensor(1.0))
    rings.load_state_dict(state)
    assert rings.means() == {"value": 2}
    other.load_state_dict(state | {"something": "else"})
    with other.recording():
        observe("value", torch.tensor(4.0))
    assert other.means() == {"value": 3}
    other.load_state_dict({"something": "else"})
    assert other.means() == {}
