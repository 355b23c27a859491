"""The bracket: two bounds that contradict each other are never made equal."""

import math

import pytest
import torch
from torch import Tensor, nn

from lipschitz.estimation.bracket import bound_ratio, ordered_bounds
from lipschitz.estimation.measure import measure
from lipschitz.tasks.measurement import measure_discriminator


class Lying(nn.Module):
    """Says that it is 1-Lipschitz, and multiplies by 5."""

    lipschitz_constant = 1.0

    def forward(self, x: Tensor) -> Tensor:
        return 5 * x


@pytest.mark.usefixtures("contradictions_allowed")
def test_a_contradicted_upper_bound_is_infinite_and_both_numbers_are_named() -> None:
    found = measure(Lying(), (1,))
    assert found.lower == pytest.approx(5, rel=1e-8)
    assert found.upper == math.inf
    reason = "two points with a slope of 5 contradict the upper bound of 1, which is not valid"
    assert reason in found.reasons
    places = {place: torch.randn(4, 1) for place in ("real", "fake", "interpolated")}
    measured = measure_discriminator(Lying(), places)
    assert measured.values["lipschitz_lower"] == pytest.approx(5, rel=1e-8)
    assert measured.values["lipschitz_upper"] == measured.values["lipschitz_ratio"] == math.inf
    assert measured.facts["bracket_notes"] == [reason]


def test_in_tests_it_is_an_error() -> None:
    with pytest.raises(AssertionError, match="is above the upper bound"):
        measure(Lying(), (1,))


@pytest.mark.usefixtures("contradictions_allowed")
@pytest.mark.parametrize("excess", [1e-6, 1e-12])
def test_no_excess_is_small_enough_to_be_called_rounding(excess: float) -> None:
    lower, upper, note = ordered_bounds(1 + excess, 1.0)
    assert (lower, upper) == (1 + excess, math.inf)
    assert note


def test_bounds_in_order_stay_as_they_are() -> None:
    assert ordered_bounds(1.0, 1.0) == (1.0, 1.0, "")
    assert ordered_bounds(0.0, math.inf) == (0.0, math.inf, "")


@pytest.mark.parametrize(
    ("lower", "upper", "ratio"), [(2.0, 6.0, 3.0), (0.0, 0.0, 1.0), (0.0, 1.0, math.inf), (1.0, math.inf, math.inf)]
)
def test_the_ratio(lower: float, upper: float, ratio: float) -> None:
    assert bound_ratio(lower, upper) == ratio
