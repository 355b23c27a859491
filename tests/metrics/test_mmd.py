"""KID against its definition, pair by pair, and its subsets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lipschitz.metrics import inner_products
from lipschitz.metrics.mmd import kid


def normal(n, d, seed=0, shift=0.0):
    return np.random.default_rng(seed).normal(size=(n, d)) + shift


def by_definition(x, y):
    """Bińkowski et al. 2018, eq. 4, pair by pair."""

    def k(a, b):
        return (a @ b / len(a) + 1) ** 3

    n, m = len(x), len(y)
    fake = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    real = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return fake + real - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


def test_worked_out_by_hand():
    # Kernel values: 27 for the fake pair (1·2 + 1)³, 1 for real pairs and 1 between fake and real.
    assert kid([[1.0], [2.0]], [[0.0], [0.0], [0.0]]).mean == pytest.approx(27 + 1 - 2)


def test_equals_its_definition_and_does_not_depend_on_the_blocks(monkeypatch):
    x, y = normal(7, 3), normal(9, 3, 1, 0.5)
    whole = kid(x, y)
    assert whole.mean == pytest.approx(by_definition(x, y), rel=1e-12)
    assert np.isnan(whole.standard_error)
    monkeypatch.setattr(inner_products, "ROWS", 4)
    assert kid(x, y).mean == pytest.approx(whole.mean, rel=1e-12)


@pytest.mark.parametrize("subsets", [2, 4])
def test_subsets_are_drawn_without_replacement_and_averaged(subsets):
    x, y = normal(30, 3), normal(40, 3, 1, 0.5)
    drawn = kid(x, y, subsets=subsets, size=10, rng=np.random.default_rng(3))
    rng = np.random.default_rng(3)
    fake = [rng.choice(30, 10, replace=False) for _ in range(subsets)]
    real = [rng.choice(40, 10, replace=False) for _ in range(subsets)]
    values = [by_definition(x[i], y[j]) for i, j in zip(fake, real, strict=True)]
    assert drawn.mean == pytest.approx(np.mean(values), rel=1e-10)
    assert drawn.standard_error == pytest.approx(np.std(values, ddof=1) / subsets**0.5, rel=1e-8)


def test_is_unbiased():
    values = [kid(normal(8, 2, seed), normal(8, 2, 1000 + seed)).mean for seed in range(400)]
    assert abs(np.mean(values)) < 4 * np.std(values) / 20
    assert min(values) < 0


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 6), st.integers(2, 6), st.integers(1, 4), st.data())
def test_is_finite_on_collapsed_samples(n, m, d, data):
    rows = st.sampled_from([0.0, 1.0, -3.0])
    x, y = (data.draw(arrays(np.float64, (size, d), elements=rows)) for size in (n, m))
    assert kid(x, y).mean == pytest.approx(by_definition(x, y), rel=1e-9, abs=1e-9)
    assert kid(x, y).mean == pytest.approx(kid(y, x).mean, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("x", "y", "how", "message"),
    [
        (np.zeros((1, 2)), np.zeros((3, 2)), {}, "subsets of 2"),
        (np.zeros((3, 2)), np.zeros((3, 3)), {}, "same dimension"),
        (
            np.zeros((3, 2)),
            np.zeros((9, 2)),
            {"size": 4, "rng": np.random.default_rng(0)},
            "subsets of 4 .* got 3 and 9",
        ),
        (np.zeros((9, 2)), np.zeros((9, 2)), {"size": 4}, "needs rng"),
        (np.full((3, 2), np.nan), np.zeros((3, 2)), {}, "NaN or Inf"),
    ],
)
def test_invalid_samples_and_subsets_are_refused(x, y, how, message):
    with pytest.raises(ValueError, match=message):
        kid(x, y, **how)
