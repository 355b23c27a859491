"""Probability of improvement: shares of pairs by hand, and how often its interval holds the true probability."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from lipschitz.report.statistics.improvement import probability_of_improvement


def of(first: list[float], second: list[float], *, lower: bool = True) -> tuple[float, float, float]:
    return probability_of_improvement([(np.array(first), np.array(second))], [lower])


def test_the_share_of_pairs_by_hand() -> None:
    # Of 1 < 2, 1 < 3, 2 = 2, 2 < 3, 4 > 2, 4 > 3 three and a half are better.
    assert of([1, 2, 4], [2, 3])[0] == pytest.approx(3.5 / 6)
    assert of([1, 2, 4], [2, 3], lower=False)[0] == pytest.approx(2.5 / 6)


def test_a_run_that_diverged_is_the_worst() -> None:
    assert of([1, math.inf], [2, 3])[0] == 0.5
    assert of([math.inf], [math.inf])[0] == 0.5


def test_the_mean_is_over_places_whatever_their_runs() -> None:
    pairs = [(np.zeros(5), np.ones(5)), (np.ones(2), np.zeros(3))]
    assert probability_of_improvement(pairs, [True, True]).probability == 0.5
    assert probability_of_improvement(pairs, [True, False]).probability == 1


def test_the_interval_is_symmetric_and_never_a_point() -> None:
    better, low, high = of([1, 2, 3, 4, 5], [6, 7, 8, 9, 10])
    worse, worse_low, worse_high = of([6, 7, 8, 9, 10], [1, 2, 3, 4, 5])
    assert (better, high) == (1, 1)
    assert (worse, worse_low) == (0, 0)
    assert worse_high == pytest.approx(1 - low)
    # By the formula at the end: (1 - θ) n m = z² θ (1 + 4 ((1 - θ) / (2 - θ) + θ / (1 + θ))).
    spread = 1 + 4 * ((1 - low) / (2 - low) + low / (1 + low))
    assert (1 - low) * 25 == pytest.approx(norm.ppf(0.975) ** 2 * low * spread)


@pytest.mark.parametrize(("places", "true"), [(1, 0.5), (2, 0.9), (4, 0.7)])
def test_the_interval_holds_the_true_probability(places: int, true: float) -> None:
    rng, n, repeats, held = np.random.default_rng(0), 5, 400, 0
    distance = norm.ppf(true) * math.sqrt(2)
    for _ in range(repeats):
        pairs = [(rng.normal(size=n), rng.normal(distance, size=n)) for _ in range(places)]
        found = probability_of_improvement(pairs, [True] * places)
        held += found.low <= true <= found.high
    # 95 % less three standard errors of the share.
    assert held / repeats > 0.95 - 3 * math.sqrt(0.95 * 0.05 / repeats)
