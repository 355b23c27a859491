"""Inception Score against values worked out by hand, and its range."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lipschitz.metrics.mutual_information import inception_score


def test_worked_out_by_hand():
    # Two certain predictions of different classes: exp KL([1, 0] ‖ [½, ½]) = 2.
    assert inception_score([[50.0, -50.0], [-50.0, 50.0]], splits=1).mean == pytest.approx(2)
    p = np.array([[0.9, 0.1], [0.3, 0.7]])
    q = np.array([0.6, 0.4])
    assert inception_score(np.log(p), splits=1).mean == pytest.approx(
        np.exp(np.mean(np.sum(p * np.log(p / q), axis=1)))
    )


def test_certain_and_uniform_classes_give_their_number_and_a_collapse_gives_one():
    assert inception_score(1e4 * np.tile(np.eye(7), (3, 1)), splits=3) == pytest.approx((7, 0))
    assert inception_score(np.tile([1e4, 0.0, 3.0], (20, 1)), splits=2) == pytest.approx((1, 0))


def test_each_part_has_its_own_marginal():
    sure = 100 * np.eye(2)
    mixed, single = sure[[0, 1, 0, 1]], sure[[0, 0, 0, 0]]
    assert inception_score(np.concatenate([mixed, single]), splits=2) == pytest.approx((1.5, 0.5))


def test_no_sample_is_left_out_where_the_parts_are_unequal():
    # Parts of three and two: three classes, then one.
    sure = 100 * np.eye(3)[[0, 1, 2, 0, 0]]
    assert inception_score(sure, splits=2) == pytest.approx((2, 1))
    assert inception_score(sure, splits=5) == pytest.approx((1, 0)), "a part of one sample has one class"


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 6), st.integers(1, 5), st.data())
def test_lies_between_one_and_the_number_of_classes(n, classes, data):
    logits = data.draw(arrays(np.float64, (n, classes), elements=st.floats(-1e6, 1e6)))
    score = inception_score(logits, splits=1).mean
    assert 1 - 1e-9 <= score <= classes + 1e-9
    assert inception_score(logits + 3, splits=1).mean == pytest.approx(score, rel=1e-6)


@pytest.mark.parametrize(
    ("logits", "splits", "message"),
    [
        (np.zeros((3, 2)), 4, "3 samples cannot be split into 4"),
        (np.zeros((3, 2)), 0, "into 0 parts"),
        (np.full((3, 2), np.nan), 1, "NaN or Inf"),
    ],
)
def test_invalid_logits_and_splits_are_refused(logits, splits, message):
    with pytest.raises(ValueError, match=message):
        inception_score(logits, splits)
