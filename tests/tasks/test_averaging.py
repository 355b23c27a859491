"""Averages of weights that still hold their initial weights: the warning's numbers, and where it is shown."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipschitz.tasks.averaging import average_warnings
from lipschitz.tasks.terms import Training


def test_an_average_that_starts_later_holds_no_initial_weights() -> None:
    training = Training(steps=10, ema=0.9999, ema_start=5)
    assert not list(average_warnings([training.averaged_steps(10)]))
    assert list(average_warnings([Training(steps=10, ema=0.9999).averaged_steps(10)]))


def test_each_average_is_named_once_with_what_to_do() -> None:
    (line,) = average_warnings([(0.9999, 1000), (0.99, 1000), (None, 5), (0.9999, 1000), (0.5, 0)])
    assert line == (
        "training.ema 0.9999 over 1,000 steps: the average still holds 90% of the initial weights, more than 1%; "
        "use an ema of at most 0.9954, or at least 46,050 steps"
    )


@given(st.floats(0.5, 0.999999), st.integers(1, 200_000))
def test_it_warns_above_one_percent_and_its_advice_is_enough(ema: float, steps: int) -> None:
    lines = list(average_warnings([(ema, steps)]))
    assert bool(lines) == (ema**steps > 0.01)
    if lines:
        words = lines[0].replace(",", "").split()
        largest, enough = float(words[words.index("most") + 1]), int(words[words.index("least", 12) + 1])
        assert not list(average_warnings([(largest, steps), (ema, enough)]))
        assert len(lines[0]) <= 200
        assert largest == pytest.approx(0.01 ** (1 / steps), abs=10 * (1 - 0.01 ** (1 / steps)))
        assert enough - 1 <= math.log(0.01) / math.log(ema) <= enough + 1e-6
