"""Accuracy, loss, margins and generalisation gaps, worked out by hand."""

import math

import pytest
import torch
from torch import nn

from lipschitz.metrics.generalization_gap import CurvePoint, gap_at_train_accuracy, gap_at_train_loss
from lipschitz.metrics.margins import margin_quantiles, margins
from lipschitz.metrics.predictions import logits_of, scores

LOGITS = torch.tensor([[math.log(3), 0.0], [0.0, 0.0], [0.0, math.log(3)]], dtype=torch.float64)


def test_accuracy_and_loss() -> None:
    # Probabilities of the true class: 3/4, 1/2, 1/4. Of equal logits the first counts.
    found = scores(LOGITS, torch.tensor([0, 1, 0]))
    assert found.accuracy == pytest.approx(1 / 3)
    assert found.loss == pytest.approx(-math.log(3 / 32) / 3)
    with pytest.raises(ValueError, match=r"logits of shape \(3, 2\) and labels of shape \(2,\)"):
        scores(LOGITS, torch.tensor([0, 1]))


def test_logits_do_not_depend_on_the_batch_and_are_of_eval_mode() -> None:
    net, x = nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 2)).train(), torch.randn(7, 3)
    assert torch.allclose(logits_of(net, x, 2), net[1](x))
    assert net[0].training
    assert net[1].weight.requires_grad


def test_margins() -> None:
    logits = torch.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, -1.0]])
    assert margins(logits, torch.tensor([0, 2])).tolist() == [1, -6]
    # Of -6, 0, 1, 3 over 2: the median is 0.25, the lower quartile -1.5 / 2.
    assert margin_quantiles(torch.tensor([3.0, -6.0, 1.0, 0.0]), 2.0, (0.25, 0.5, 1.0)) == [-0.75, 0.25, 1.5]
    assert margin_quantiles(torch.tensor([3.0]), math.inf, (0.5,)) == [0]
    assert math.isnan(margin_quantiles(torch.tensor([3.0]), 0.0, (0.5,))[0])
    with pytest.raises(ValueError, match=r"constant of -1\.0"):
        margin_quantiles(torch.tensor([3.0]), -1.0)


CURVE = [CurvePoint(0.8, 0.8, 2.0, 2.0), CurvePoint(0.9, 0.7, 0.5, 1.5), CurvePoint(1.0, 0.6, 0.125, 2.0)]


def test_gap_at_equal_training_accuracy() -> None:
    # Half way between the last two points: gaps of 0.2 and 0.4.
    assert gap_at_train_accuracy(CURVE, 0.95) == pytest.approx(0.3)
    assert gap_at_train_accuracy(CURVE, 0.9) == pytest.approx(0.2)
    assert math.isnan(gap_at_train_accuracy(CURVE[:2], 0.95))


def test_gap_at_equal_training_loss() -> None:
    # Half way from 2 to 0.5 in the logarithm is 1: gaps of 0 and 1.
    assert gap_at_train_loss(CURVE, 1.0) == pytest.approx(0.5)
    assert gap_at_train_loss(CURVE, 0.125) == pytest.approx(1.875)
    assert math.isnan(gap_at_train_loss(CURVE, 0.01))


def test_no_gap_is_interpolated_over_a_wide_step() -> None:
    assert math.isnan(gap_at_train_accuracy([CURVE[0], CURVE[2]], 0.95))
    assert math.isnan(gap_at_train_loss([CURVE[0], CURVE[2]], 1.0))
    assert gap_at_train_accuracy([CURVE[0], CURVE[2]], 1.0) == pytest.approx(0.4), "measured, not interpolated"


def test_only_the_first_crossing_counts_and_none_before_the_first_evaluation() -> None:
    back = [*CURVE[:2], CurvePoint(0.6, 0.6, 1.0, 1.0), CurvePoint(1.0, 0.1, 0.1, 9.0)]
    assert gap_at_train_accuracy(back, 0.9) == pytest.approx(0.2)
    assert math.isnan(gap_at_train_accuracy(CURVE, 0.4))
    assert gap_at_train_accuracy(CURVE, 0.8) == 0
    assert math.isnan(gap_at_train_loss([], 0.5))
