"""1-Wasserstein distance against SciPy in one dimension, values worked out by hand, and its properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import wasserstein_distance

from lipschitz.metrics.wasserstein import wasserstein1

coordinates = st.floats(-100, 100, width=32)


def points(n, d):
    return arrays(np.float64, (n, d), elements=coordinates)


sample_pairs = st.tuples(st.integers(1, 12), st.integers(1, 3)).flatmap(
    lambda shape: st.tuples(points(*shape), points(*shape))
)


def test_worked_out_by_hand():
    # Assigning the nearest point first (1 -> 0.9) would leave a pair at distance 10; the optimum is (0.9 + 9) / 2.
    assert wasserstein1([[0.0], [1.0]], [[0.9], [10.0]]) == pytest.approx((0.9 + 9) / 2)
    assert wasserstein1([[0, 0], [3, 0]], [[3, 4], [0, 4]]) == pytest.approx(4)


def test_equals_scipys_in_one_dimension():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=300), rng.gamma(2, size=300)
    assert wasserstein1(x[:, None], y[:, None]) == pytest.approx(wasserstein_distance(x, y), rel=1e-12)


def test_of_collapsed_samples_is_the_mean_distance_to_the_point():
    y = np.random.default_rng(0).normal(size=(50, 2))
    collapsed = np.tile([1.0, -2.0], (50, 1))
    assert wasserstein1(collapsed, y) == pytest.approx(np.linalg.norm(y - [1, -2], axis=1).mean())


@settings(max_examples=50, deadline=None)
@given(sample_pairs)
def test_is_symmetric_and_zero_from_a_sample_to_its_own_permutation(pair):
    x, y = pair
    assert wasserstein1(x, y) == pytest.approx(wasserstein1(y, x), abs=1e-9)
    assert wasserstein1(x, x[::-1]) == pytest.approx(0, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(sample_pairs, coordinates)
def test_a_translation_costs_its_length(pair, shift):
    x, _ = pair
    length = abs(shift) * np.sqrt(x.shape[1])
    assert wasserstein1(x, x + shift) == pytest.approx(length, abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(sample_pairs)
def test_the_distance_of_the_means_is_at_most_w1(pair):
    x, y = pair
    assert np.linalg.norm(x.mean(axis=0) - y.mean(axis=0)) <= wasserstein1(x, y) + 1e-9


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((3, 2)), np.zeros((4, 2)), r"same shape .* \(3, 2\) and \(4, 2\)"),
        (np.zeros(3), np.zeros(3), r"expected samples of shape \(n, d\) .* got \(3,\)"),
        (np.zeros((0, 2)), np.zeros((0, 2)), r"expected samples of shape \(n, d\)"),
        (np.full((3, 2), np.nan), np.zeros((3, 2)), "NaN or Inf"),
    ],
)
def test_invalid_samples_are_refused(x, y, message):
    with pytest.raises(ValueError, match=message):
        wasserstein1(x, y)
