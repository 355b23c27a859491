"""The lower bound by gradient ascent: exact where the constant is known, and above the gradients at the points."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lipschitz.estimation.lower_bound.gradient_ascent import (
    MIN_DISTANCE,
    ROUNDING_MARGIN,
    PointPairs,
    ascend,
    lower_bound,
    separate,
)
from lipschitz.estimation.lower_bound.gradient_norms import gradient_norms, sample_norms


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def points(*shape: int) -> Tensor:
    return torch.randn(shape, generator=rng(1), dtype=torch.float64)


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_linear_network_has_the_norm_of_its_weight(outputs: int) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, outputs)).double().requires_grad_(False)
    sigma = float(np.linalg.norm(net[1].weight.numpy(), 2))
    found = lower_bound(net, points(4, 3, 2, 2), rng())
    assert found < sigma
    assert found == pytest.approx(sigma, rel=1e-5)


def ramp(x: Tensor) -> Tensor:
    """Slope 1/10 up to 3, then 5 up to 4, then 1/10 again: gradients at small x do not show the steep part."""
    x = x.sum(1, keepdim=True)
    return x / 10 + 4.9 * (x.clamp(3, 4) - 3)


def test_a_steep_region_outside_the_points_is_found() -> None:
    flat = torch.tensor([[-1.0, 0.5], [0.0, 1.0], [2.0, 0.5], [1.0, 1.0]], dtype=torch.float64)
    assert gradient_norms(ramp, flat).max() == pytest.approx(0.1 * 2**0.5)
    assert lower_bound(ramp, flat, rng()) == pytest.approx(5 * 2**0.5, rel=1e-6)


def test_ascent_raises_the_quotient_of_a_piecewise_linear_network() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1)).double()
    net.requires_grad_(False)
    start = PointPairs(points(8, 4), points(8, 4).flip(0))
    min_gap = torch.full((8, 4), 1e-4, dtype=torch.float64)
    _, before = ascend(net, start, min_gap, 0)
    best, after = ascend(net, start, min_gap, 60)
    assert len(after) == 1, "the worse half was dropped three times"
    assert after.max() > 1.5 * before.max()
    quotient = sample_norms(net(best.x) - net(best.y)) / sample_norms(best.x - best.y)
    assert quotient.item() == pytest.approx(after.item(), rel=1e-9)


def test_pairs_are_separated_even_where_both_ends_are_one_point() -> None:
    x = torch.tensor([[0.0, 0.0], [1.0, 1.0], [5.0, 0.0]], dtype=torch.float64)
    y = torch.tensor([[0.0, 1e-12], [1.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
    min_gap = torch.tensor([[0.5, 0.0]], dtype=torch.float64).repeat(3, 1)
    apart = separate(PointPairs(x, y), min_gap)
    assert sample_norms(apart.x - apart.y).tolist() == pytest.approx([0.5, 0.5, 5])
    assert torch.allclose((apart.x + apart.y) / 2, (x + y) / 2)
    assert torch.equal(apart.x[2], x[2])


def test_pairs_stay_far_enough_apart_for_rounding() -> None:
    distances = []

    def net(x: Tensor) -> Tensor:
        if len(x) % 2 == 0:
            x_ends, y_ends = x.detach().chunk(2)
            distances.append(float(sample_norms(x_ends - y_ends).min()))
        return x.abs().sum(1, keepdim=True)

    seen = points(4, 2)
    lower_bound(net, torch.cat([seen, seen]), rng(), pairs=8, steps=20)
    # The first call has the points for their gradients; the last, with an odd number, those between a pair.
    assert len(distances) == 22
    assert min(distances[1:]) >= MIN_DISTANCE * float(sample_norms(seen).mean()) * (1 - 1e-9)


def test_rounding_of_large_outputs_does_not_count_as_a_slope() -> None:
    # At 1e9 outputs are rounded to multiples of 1e-7: the quotient of two near points could be a false slope of 1e-3.
    weight = torch.tensor([1e-4, 0.0], dtype=torch.float64)
    found = lower_bound(lambda x: (x @ weight)[:, None] + 1e9, points(6, 2), rng())
    assert found <= 1e-4


def test_it_draws_from_the_given_generator_only_and_is_reproducible() -> None:
    net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1)).double()
    state = torch.get_rng_state()
    seen = points(6, 2)
    assert lower_bound(net, seen, rng(3)) == lower_bound(net, seen, rng(3))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize("n", [1, 2])
def test_few_points_are_enough(n: int) -> None:
    found = lower_bound(lambda x: 3 * x[:, :1], torch.zeros(n, 2, dtype=torch.float64), rng(), pairs=3, steps=5)
    assert found == 3 * (1 - ROUNDING_MARGIN)


def test_points_at_the_origin_alone_are_left() -> None:
    # At zero the gradient of the ramp is zero, and the points have no size that distances could be relative to.
    def net(x: Tensor) -> Tensor:
        assert torch.isfinite(x).all()
        return 2 * x[:, :1].relu()

    found = lower_bound(net, torch.zeros(3, 2, dtype=torch.float64), rng())
    assert found == 2 * (1 - ROUNDING_MARGIN)


def test_the_gradients_at_the_points_count_where_the_search_finds_less() -> None:
    # Steepest at zero, and so wavy that no pair of points that the search tries is as steep.
    found = lower_bound(lambda x: 5e-3 * (1e3 * x).sin(), torch.tensor([[0.0], [1.0]], dtype=torch.float64), rng())
    assert found == 5 * (1 - ROUNDING_MARGIN)


def test_a_constant_network_has_zero() -> None:
    assert lower_bound(lambda x: 0 * x, points(4, 2), rng()) == 0
