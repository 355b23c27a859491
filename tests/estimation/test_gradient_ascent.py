"""The lower bound: exact where the constant is known, and more than the gradients at the points where it is hidden."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lipschitz.estimation.lower_bound.gradient_ascent import NEAREST, Pairs, ascended, lower_bound, separated
from lipschitz.estimation.lower_bound.gradient_norms import gradient_norms, sizes


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
    """Slope 1/10 up to 3, then 5 up to 4, then 1/10 again: no gradient at small x says that it is there."""
    x = x.sum(1, keepdim=True)
    return x / 10 + 4.9 * (x.clamp(3, 4) - 3)


def test_a_steep_place_between_and_beyond_the_points_is_found() -> None:
    flat = torch.tensor([[-1.0, 0.5], [0.0, 1.0], [2.0, 0.5], [1.0, 1.0]], dtype=torch.float64)
    assert gradient_norms(ramp, flat).max() == pytest.approx(0.1 * 2**0.5)
    assert lower_bound(ramp, flat, rng()) == pytest.approx(5 * 2**0.5, rel=1e-6)


def test_ascent_lifts_the_quotient_where_the_gradient_s_norm_has_no_slope() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1)).double()
    net.requires_grad_(False)
    start = Pairs(points(8, 4), points(8, 4).flip(0))
    nearest = torch.full((8, 4), 1e-4, dtype=torch.float64)
    _, before = ascended(net, start, nearest, 0)
    best, after = ascended(net, start, nearest, 60)
    assert len(after) == 1, "the worse half was dropped three times"
    assert after.max() > 1.5 * before.max()
    quotient = sizes(net(best.x) - net(best.y)) / sizes(best.x - best.y)
    assert quotient.item() == pytest.approx(after.item(), rel=1e-9)


def test_pairs_stay_apart_even_where_both_ends_are_one_point() -> None:
    x = torch.tensor([[0.0, 0.0], [1.0, 1.0], [5.0, 0.0]], dtype=torch.float64)
    y = torch.tensor([[0.0, 1e-12], [1.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
    nearest = torch.tensor([[0.5, 0.0]], dtype=torch.float64).repeat(3, 1)
    apart = separated(Pairs(x, y), nearest)
    assert sizes(apart.x - apart.y).tolist() == pytest.approx([0.5, 0.5, 5])
    assert torch.allclose((apart.x + apart.y) / 2, (x + y) / 2)
    assert torch.equal(apart.x[2], x[2])


def test_no_pair_comes_so_near_that_rounding_speaks() -> None:
    distances = []

    def net(x: Tensor) -> Tensor:
        if len(x) % 2 == 0:
            x_ends, y_ends = x.detach().chunk(2)
            distances.append(float(sizes(x_ends - y_ends).min()))
        return x.abs().sum(1, keepdim=True)

    seen = points(4, 2)
    lower_bound(net, torch.cat([seen, seen]), rng(), pairs=8, steps=20)
    # The first call is for the gradients at the points; the last, an odd one, for those between a pair.
    assert len(distances) == 22
    assert min(distances[1:]) >= NEAREST * float(sizes(seen).mean()) * (1 - 1e-9)


def test_what_rounding_leaves_of_a_large_output_is_no_slope() -> None:
    # At 1e9 the outputs differ by multiples of 1e-7: as a quotient of near points a slope of 1e-3, which is not there.
    weight = torch.tensor([1e-4, 0.0], dtype=torch.float64)
    found = lower_bound(lambda x: (x @ weight)[:, None] + 1e9, points(6, 2), rng())
    assert found <= 1e-4


def test_it_draws_from_its_own_stream_alone_and_repeats() -> None:
    net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1)).double()
    state = torch.get_rng_state()
    seen = points(6, 2)
    assert lower_bound(net, seen, rng(3)) == lower_bound(net, seen, rng(3))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize("n", [1, 2])
def test_few_points_are_enough(n: int) -> None:
    found = lower_bound(lambda x: 3 * x[:, :1], torch.zeros(n, 2, dtype=torch.float64), rng(), pairs=3, steps=5)
    assert found == pytest.approx(3, rel=1e-6)


def test_a_constant_network_has_zero() -> None:
    assert lower_bound(lambda x: 0 * x, points(4, 2), rng()) == 0
