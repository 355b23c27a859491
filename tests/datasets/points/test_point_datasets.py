"""Gaussian mixtures and the Swiss roll: positions, shares and noise of their samples."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import make_swiss_roll

from lipschitz.datasets.points import EightGaussians, SwissRoll, TwentyFiveGaussians
from lipschitz.metrics.wasserstein import wasserstein1

CPU = torch.device("cpu")


def draw(data, n, seed=0):
    return data.batch(n, torch.Generator().manual_seed(seed)).double()


def load(dataset):
    return dataset().load(None, CPU)


@pytest.mark.parametrize(
    ("dataset", "modes", "std", "some"),
    [
        (EightGaussians, 8, 0.02 / 1.414, [(2 / 1.414, 0), (-math.sqrt(2) / 1.414, math.sqrt(2) / 1.414)]),
        (TwentyFiveGaussians, 25, 0.05 / 2.828, [(0, 0), (4 / 2.828, -4 / 2.828), (2 / 2.828, 0)]),
    ],
)
def test_modes_are_at_the_positions_of_the_paper(dataset, modes, std, some):
    data = load(dataset)
    assert data.centers.shape == (modes, 2)
    assert data.std == pytest.approx(std)
    for point in some:
        assert torch.cdist(data.centers, torch.tensor([point], dtype=torch.float32)).min() < 1e-6


@pytest.mark.parametrize("dataset", [EightGaussians, TwentyFiveGaussians])
def test_samples_are_isotropic_gaussians_with_equal_weights(dataset):
    data, n = load(dataset), 40_000
    offsets = draw(data, n)[:, None] - data.centers
    nearest = offsets.norm(dim=2).argmin(dim=1)
    share = nearest.bincount(minlength=len(data.centers)) / n
    expected = 1 / len(data.centers)
    assert (share - expected).abs().max() < 5 * math.sqrt(expected / n)
    noise = offsets[torch.arange(n), nearest]
    assert noise.std(dim=0).numpy() == pytest.approx([data.std] * 2, rel=0.02)
    assert abs(float(noise.T.corrcoef()[0, 1])) < 0.02


def test_the_swiss_roll_is_as_near_to_that_of_scikit_learn_as_two_draws_of_it():
    def theirs(seed):
        return make_swiss_roll(1000, noise=0.25, random_state=seed)[0][:, [0, 2]] / 7.5

    between = wasserstein1(draw(load(SwissRoll), 1000).numpy(), theirs(0))
    assert between < 1.3 * wasserstein1(theirs(1), theirs(2))


def test_the_distance_of_the_swiss_roll_from_its_spiral_is_the_noise():
    data = load(SwissRoll)
    t = torch.linspace(1.5 * math.pi, 4.5 * math.pi, 4000, dtype=torch.float64)
    spiral = torch.stack([t * t.cos(), t * t.sin()], dim=1) / 7.5
    distance = torch.cdist(draw(data, 4000), spiral).min(dim=1).values
    # Only the component of the noise across the curve changes the distance.
    assert float(distance.pow(2).mean().sqrt()) == pytest.approx(data.std, rel=0.05)


@pytest.mark.parametrize("dataset", [EightGaussians, TwentyFiveGaussians, SwissRoll])
def test_the_extent_contains_the_samples_with_a_margin(dataset):
    data = load(dataset)
    x = draw(data, 20_000)
    low, high = x.amin(dim=0), x.amax(dim=0)
    xmin, xmax, ymin, ymax = data.extent
    assert xmin < low[0]
    assert high[0] < xmax
    assert ymin < low[1]
    assert high[1] < ymax
    assert xmax - xmin < 1.6 * float(high[0] - low[0])


def test_the_standard_deviation_of_each_axis_is_about_one():
    # The paper's code divides by 1.414, 2.828 and 7.5 for this.
    for dataset in (EightGaussians, TwentyFiveGaussians, SwissRoll):
        assert np.allclose(draw(load(dataset), 20_000).std(dim=0), 1, atol=0.15)
