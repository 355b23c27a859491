"""Fréchet distance against closed forms, values worked out by hand and pytorch-fid."""

import inspect
import warnings

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lipschitz.datasets.images.torchvision_import import import_torchvision
from lipschitz.metrics import frechet
from lipschitz.metrics.frechet import frechet_distance, frechet_of_moments, moments


def samples_with(mean, covariance, n=200, seed=0):
    """Return samples whose sample mean and unbiased covariance are exactly those given."""
    x = np.random.default_rng(seed).normal(size=(n, len(mean)))
    x -= x.mean(axis=0)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T))).T
    return x @ np.linalg.cholesky(covariance).T + mean


def test_worked_out_by_hand_in_one_dimension():
    # Means 1 and 4, standard deviations sqrt(2) and 0: 3² + (sqrt(2) - 0)².
    assert frechet_distance([[0.0], [2.0]], [[4.0], [4.0], [4.0]]) == pytest.approx(11)


def test_closed_form_for_diagonal_covariances():
    a, b = np.diag([1.0, 4.0, 9.0]), np.diag([4.0, 1.0, 16.0])
    x, y = samples_with(np.array([0.0, 1, 2]), a), samples_with(np.array([1.0, 1, 0]), b, n=300, seed=1)
    assert frechet_distance(x, y) == pytest.approx((1 + 4) + (1 - 2) ** 2 + (2 - 1) ** 2 + (3 - 4) ** 2, rel=1e-9)


@pytest.mark.skipif(
    "disp" not in inspect.signature(scipy.linalg.sqrtm).parameters, reason="pytorch-fid calls sqrtm(disp=False)"
)
def test_agrees_with_pytorch_fid():
    import_torchvision()
    from pytorch_fid.fid_score import calculate_frechet_distance

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(500, 16)) @ rng.normal(size=(16, 16)), rng.normal(size=(700, 16)) + 0.3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        theirs = calculate_frechet_distance(x.mean(axis=0), np.cov(x.T), y.mean(axis=0), np.cov(y.T))
    assert frechet_distance(x, y) == pytest.approx(theirs, rel=1e-9)


def test_a_collapsed_generator_against_the_closed_form():
    y = np.random.default_rng(0).normal(size=(400, 64))
    collapsed = np.full((300, 64), 0.7)
    expected = np.sum((y.mean(axis=0) - 0.7) ** 2) + np.trace(np.cov(y.T))
    assert frechet_distance(collapsed, y) == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(collapsed, collapsed) == pytest.approx(0, abs=1e-12)


def test_fewer_samples_than_dimensions_lose_no_precision():
    rng = np.random.default_rng(0)
    x, shift = rng.normal(size=(5, 64)), rng.normal(size=64)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-10)
    assert frechet_distance(x, x + shift) == pytest.approx(np.sum(shift**2), rel=1e-9)


@pytest.mark.parametrize("n", [5, 64, 65, 300])
def test_moments_are_mean_and_covariance_for_any_chunk_size(n, monkeypatch):
    monkeypatch.setattr(frechet, "CHUNK", 70)
    x = np.random.default_rng(0).normal(size=(n, 64)) + 3
    found = moments(x)
    assert found.factor.shape == (min(n, 64), 64)
    assert found.mean == pytest.approx(x.mean(axis=0), rel=1e-12)
    assert found.factor.T @ found.factor == pytest.approx(np.cov(x.T), rel=1e-9, abs=1e-12)


def test_moments_give_the_same_distance():
    x, y = np.random.default_rng(0).normal(size=(2, 90, 8))
    assert frechet_of_moments(moments(x), moments(y + 1)) == frechet_distance(x, y + 1)


def test_a_dead_feature_costs_no_precision():
    x = np.random.default_rng(0).normal(size=(200, 16))
    x[:, 3], x[:, 5] = 0, x[:, 4]
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-12)
    assert frechet_distance(x, 2 * x) == pytest.approx(np.sum(x.mean(axis=0) ** 2) + np.trace(np.cov(x.T)), rel=1e-12)


shapes = st.tuples(st.integers(2, 8), st.integers(2, 8), st.integers(1, 5))


def points(n, d):
    return arrays(np.float64, (n, d), elements=st.floats(-10, 10, width=32))


@settings(max_examples=50, deadline=None)
@given(shapes.flatmap(lambda s: st.tuples(points(s[0], s[2]), points(s[1], s[2]))), st.floats(-10, 10, width=32))
def test_is_finite_symmetric_and_invariant_to_a_common_translation(pair, shift):
    x, y = pair
    distance = frechet_distance(x, y)
    assert np.isfinite(distance)
    assert distance >= 0
    assert frechet_distance(y, x) == pytest.approx(distance, abs=1e-6)
    assert frechet_distance(x + shift, y + shift) == pytest.approx(distance, abs=1e-6)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((1, 2)), np.zeros((3, 2)), "at least 2 samples"),
        (np.zeros((3, 2)), np.zeros((3, 3)), "same dimension"),
        (np.full((3, 2), np.inf), np.zeros((3, 2)), "NaN or Inf"),
    ],
)
def test_invalid_samples_are_refused(x, y, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance(x, y)


def test_one_sample_has_no_covariance():
    with pytest.raises(ValueError, match="needs at least 2 samples"):
        moments(np.zeros((1, 3)))
