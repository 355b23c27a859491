"""Gradient ascent on pairs of points: it raises their quotients, and keeps the two points of a pair apart."""

import pytest
import torch
from torch import Tensor, nn

from lipschitz.estimation.lower_bound.gradient_ascent import PointPairs, ascend, separate
from lipschitz.estimation.lower_bound.gradient_norms import sample_norms


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def points(*shape: int) -> Tensor:
    return torch.randn(shape, generator=rng(1), dtype=torch.float64)


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
        x_ends, y_ends = x.detach().chunk(2)
        distances.append(float(sample_norms(x_ends - y_ends).min()))
        return x.abs().sum(1, keepdim=True)

    start = PointPairs(points(8, 2), points(8, 2).flip(0))
    ascend(net, start, torch.full((8, 2), 0.3, dtype=torch.float64), 20)
    assert len(distances) == 21
    assert min(distances) >= 0.3 * 2**0.5 * (1 - 1e-9)
