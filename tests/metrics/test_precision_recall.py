"""Precision, recall, density and coverage against their definition and values worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist

from lipschitz.metrics import inner_products
from lipschitz.metrics.precision_recall import precision_recall_density_coverage


def by_definition(fake, real, k):
    def radii(x):
        return np.sort(cdist(x, x), axis=1)[:, k]

    held = cdist(fake, real) <= radii(real) + 1e-9
    recalled = cdist(fake, real) <= radii(fake)[:, None] + 1e-9
    return held.any(axis=1).mean(), recalled.any(axis=0).mean(), held.sum() / (k * len(fake)), held.any(axis=0).mean()


def test_worked_out_by_hand():
    # Real balls of radius 1, 1, 2, 6 around 0, 1, 3, 9; generated ones of radius 0.5, 0.5, 19 around 0, 0.5, 19.5.
    real, fake = [[0.0], [1.0], [3.0], [9.0]], [[0.0], [0.5], [19.5]]
    found = precision_recall_density_coverage(fake, real, k=1)
    assert found.precision == pytest.approx(2 / 3)
    # 0 and 1 are near 0 and 0.5; 3 and 9 are within 19 of 19.5.
    assert found.recall == pytest.approx(1)
    # 0 lies in the balls around 0 and 1, 0.5 likewise, 19.5 in none.
    assert found.density == pytest.approx(4 / 3)
    assert found.coverage == pytest.approx(2 / 4)


@pytest.mark.parametrize(("side", "precision"), [(1 - 1e-9, 1.0), (1 + 1e-9, 0.0)], ids=["inside", "outside"])
def test_radii_have_the_digits_of_float64(side, precision):
    # The ball around 0 has radius 0.1, whose square float32 would round down, that around 3 has radius 2.9.
    found = precision_recall_density_coverage([[-0.1 * side]] * 2, [[0.0], [0.1], [3.0]], k=1)
    assert found.precision == precision
    above = precision_recall_density_coverage([[-0.7 * side]] * 2, [[0.0], [0.7], [9.0]], k=1)
    assert above.precision == precision, "float32 would round this square up"


@pytest.mark.parametrize("k", [1, 3])
def test_equals_its_definition_and_does_not_depend_on_the_blocks(k, monkeypatch):
    rng = np.random.default_rng(0)
    fake, real = 0.5 * rng.normal(size=(40, 3)), rng.normal(size=(60, 3))
    whole = precision_recall_density_coverage(fake, real, k)
    assert whole == pytest.approx(by_definition(fake, real, k), rel=1e-12)
    monkeypatch.setattr(inner_products, "ROWS", 16)
    assert precision_recall_density_coverage(fake, real, k) == pytest.approx(whole)


def test_equal_samples_have_precision_recall_and_coverage_one():
    x = np.random.default_rng(0).normal(size=(50, 4)) + 1000
    found = precision_recall_density_coverage(x, x, k=2)
    assert found.precision == found.recall == found.coverage == 1
    assert found.density >= 1


def test_a_generator_collapsed_onto_a_real_sample_has_high_precision_and_low_coverage():
    real = np.random.default_rng(0).normal(size=(50, 64)) + 5
    found = precision_recall_density_coverage(np.tile(real[7], (30, 1)), real, k=3)
    assert found.precision == 1
    # Its balls have radius zero and hold only the real sample at their centre.
    assert found.recall == pytest.approx(1 / 50)
    assert found.coverage <= 0.5


def test_samples_far_from_all_real_ones_have_zeros():
    real = np.random.default_rng(0).normal(size=(50, 8))
    assert precision_recall_density_coverage(np.full((30, 8), 1e3), real, k=3) == (0, 0, 0, 0)


@settings(max_examples=60, deadline=None)
@given(st.integers(3, 7), st.integers(3, 7), st.integers(1, 12), st.integers(1, 2), st.data())
def test_shares_equal_their_definition_on_collapsed_samples(n, m, d, k, data):
    rows = st.sampled_from([0.0, 0.1, 1.0, -3.0])
    x, y = (data.draw(arrays(np.float64, (size, d), elements=rows)) for size in (n, m))
    found = precision_recall_density_coverage(x, y, k)
    assert found == pytest.approx(by_definition(x, y, k), abs=1e-12)
    assert all(0 <= share <= 1 for share in (found.precision, found.recall, found.coverage))


@pytest.mark.parametrize(
    ("fake", "real", "k", "message"),
    [
        (np.zeros((3, 2)), np.zeros((9, 2)), 3, "more than k samples each, got k 3, 3 and 9 samples"),
        (np.zeros((3, 2)), np.zeros((9, 2)), 0, "got k 0"),
        (np.zeros((3, 2)), np.zeros((3, 3)), 1, "same dimension"),
        (np.full((3, 2), np.inf), np.zeros((3, 2)), 1, "NaN or Inf"),
    ],
)
def test_invalid_samples_and_k_are_refused(fake, real, k, message):
    with pytest.raises(ValueError, match=message):
        precision_recall_density_coverage(fake, real, k)
