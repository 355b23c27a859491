"""Modes covered and the share of high-quality samples, worked out by hand."""

import numpy as np
import pytest
import torch

from lipschitz.datasets.points import TwentyFiveGaussians
from lipschitz.metrics.mode_coverage import high_quality_share, modes_covered

CENTERS = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])


def test_worked_out_by_hand():
    # At 3 standard deviations of the first mode, just beyond, and twice near the second mode; none near the third.
    x = [[0.0, 3.0], [0.0, 3.001], [9.0, 1.0], [9.5, 0.0]]
    assert high_quality_share(x, CENTERS, std=1.0) == pytest.approx(3 / 4)
    assert modes_covered(x, CENTERS, std=1.0) == 2


def test_a_sample_far_from_every_mode_covers_none():
    assert modes_covered([[100.0, 0.0]], CENTERS, std=1.0) == 0
    assert high_quality_share([[100.0, 0.0]], CENTERS, std=1.0) == 0


def test_a_sample_near_two_modes_covers_only_the_nearest():
    assert modes_covered([[4.0, 0.0]], CENTERS, std=2.0) == 1
    assert modes_covered([[4.9, 0.0], [5.1, 0.0]], CENTERS, std=2.0) == 2


def test_samples_of_the_mixture_have_the_share_within_three_standard_deviations():
    data = TwentyFiveGaussians().load(None, torch.device("cpu"))
    x, centers = data.reference(20_000, torch.Generator().manual_seed(0)), data.centers
    assert modes_covered(x.numpy(), centers.numpy(), data.std) == 25
    assert high_quality_share(x.numpy(), centers.numpy(), data.std) == pytest.approx(1 - np.exp(-4.5), abs=3e-3)


def test_samples_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="NaN or Inf"):
        modes_covered([[np.nan, 0.0]], CENTERS, std=1.0)
