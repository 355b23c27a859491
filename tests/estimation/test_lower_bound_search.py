"""The search for a lower bound: exact where the constant is known, confirmed where autograd is wrong."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lipschitz.estimation.lower_bound import kink_walk, search
from lipschitz.estimation.lower_bound.gradient_norms import Network, input_gradients, sample_norms
from lipschitz.estimation.lower_bound.network_cost import network_cost


def lower_bound(net: Network, points: Tensor, rng: torch.Generator) -> float:
    found = search.lower_bound(net, points, rng)
    assert not found.note
    return found.value


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
    assert sample_norms(input_gradients(ramp, flat)).max() == pytest.approx(0.1 * 2**0.5)
    assert lower_bound(ramp, flat, rng()) == pytest.approx(5 * 2**0.5, rel=1e-6)


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
    found = lower_bound(lambda x: 3 * x[:, :1], torch.zeros(n, 2, dtype=torch.float64), rng())
    assert found == pytest.approx(3, rel=1e-8)


def test_points_at_the_origin_alone_are_left() -> None:
    # At zero the gradient of the ramp is zero, and the points have no size that distances could be relative to.
    def net(x: Tensor) -> Tensor:
        assert torch.isfinite(x).all()
        return 2 * x[:, :1].relu()

    found = lower_bound(net, torch.zeros(3, 2, dtype=torch.float64), rng())
    assert found == pytest.approx(2, rel=1e-8)


def test_the_gradients_at_the_points_count_where_the_search_finds_less() -> None:
    # Steepest at zero, and so wavy that no pair of points that the search tries is as steep.
    found = lower_bound(lambda x: 5e-3 * (1e3 * x).sin(), torch.tensor([[0.0], [1.0]], dtype=torch.float64), rng())
    assert found == pytest.approx(5, rel=1e-7)


def test_a_constant_network_has_zero() -> None:
    assert lower_bound(lambda x: 0 * x, points(4, 2), rng()) == 0


def test_the_steepest_of_thousands_of_cells_of_the_plane_is_found() -> None:
    # Found by ascent alone: 0.86 to 0.97 of the steepest gradient at 200,000 points and around the best of them.
    torch.manual_seed(0)
    layers = [nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)]
    net = nn.Sequential(*layers).double().requires_grad_(False)
    dense = 2 * torch.randn(200_000, 2, generator=rng(7), dtype=torch.float64)
    steepest = float(sample_norms(input_gradients(net, dense, 20_000)).max())
    for seed in range(3):
        assert lower_bound(net, torch.randn(200, 2, generator=rng(seed + 20), dtype=torch.float64), rng(seed)) > (
            0.99 * steepest
        )


def test_the_asymptotic_slope_far_from_the_points_is_found() -> None:
    found = lower_bound(lambda x: x.clamp(-1, 1) + 3 * (x.abs() - 50).relu(), points(40, 1).clamp(-1, 1), rng())
    assert found == pytest.approx(3, rel=1e-8)


def test_a_slope_that_only_autograd_sees_at_a_kink_does_not_count() -> None:
    # The function is zero everywhere, its gradient at zero by autograd one.
    found = search.lower_bound(lambda x: x - x.relu() + (-x).relu(), torch.zeros(2, 1, dtype=torch.float64), rng())
    assert found.value == 0
    assert "autograd returns a slope of 1, which difference quotients do not confirm: they reach 0" in found.note


@pytest.mark.parametrize("shape", [(6, 1), (6, 3)])
def test_a_custom_backward_does_not_count(shape: tuple[int, int]) -> None:
    class TenTimes(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            return 10 * gradient

    found = search.lower_bound(TenTimes.apply, points(*shape), rng())
    assert found.value == pytest.approx(1, rel=1e-8)
    assert found.note.startswith("autograd returns a slope of 10")


def test_a_smooth_gradient_is_confirmed() -> None:
    found = search.lower_bound(lambda x: x.sin().sum(1, keepdim=True), torch.zeros(1, 2, dtype=torch.float64), rng())
    assert found.value == pytest.approx(2**0.5, rel=1e-7)
    assert found.value < 2**0.5
    assert found.note == ""


@pytest.mark.parametrize("offset", [1e4, 1e8, 1e12])
def test_rounding_of_large_hidden_values_is_allowed_for(offset: float) -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1)).double().requires_grad_(False)
    net[0].weight.copy_(0.01 * torch.eye(4))
    net[0].bias.fill_(offset)
    net[1].bias.fill_(-offset * float(net[1].weight.sum()))
    found = search.lower_bound(net, points(32, 4), rng())
    true = 0.01 * float(net[1].weight.norm())
    assert found.value <= true
    assert found.quotient <= true + found.allowance
    if offset < 1e10:
        assert found.value > 0.9 * true


def test_a_large_network_is_searched_within_a_budget_of_operations() -> None:
    passes = []

    def net(x: Tensor) -> Tensor:
        passes.append(len(x))
        return x.flatten(1).mean(1, keepdim=True)

    seen = points(50, 1, 100, 100)
    lower_bound(net, seen, rng())
    free = sum(passes)
    passes.clear()
    # By the operations of its elements; the last part is always done, for a single point.
    search.lower_bound(net, seen, rng(), share=1e-4)
    assert sum(passes) < free / 8


def test_the_bound_so_far_of_a_search_that_found_nothing_is_zero() -> None:
    kept = []
    search.lower_bound(lambda x: 3 * x, torch.zeros(1, 1, dtype=torch.float64), rng(), keep=kept.append)
    assert len(kept) == 1
    net, asked = nn.Linear(3, 1).double(), []
    search.lower_bound(net, points(1, 3), rng(), keep=lambda best: asked.append(best()))
    assert asked == [search.NOTHING]


def test_the_transposed_weight_of_a_linear_layer_takes_no_memory_of_a_batch() -> None:
    assert network_cost(nn.Linear(1000, 10).double(), points(1, 1000)).elements == 1000 + 10, "a copy and the output"


def in_a_triangle(x: Tensor) -> Tensor:
    """Slope √8 in a triangle with legs of 1e-5, or a prism, and at most √5 anywhere else."""
    a, b = x[:, :1] - 0.3, x[:, 1:2] + 0.2
    return a.relu() + b.relu() - (1e-5 - a - b).relu()


@pytest.mark.parametrize("inputs", [2, 3])
def test_a_region_that_no_random_point_hits_is_found(inputs: int) -> None:
    for seed in range(2):
        seen = torch.randn(100, inputs, generator=rng(seed + 9), dtype=torch.float64)
        assert lower_bound(in_a_triangle, seen, rng(seed)) == pytest.approx(8**0.5, rel=1e-5)


def test_the_first_of_two_kinks_on_a_ray_is_found() -> None:
    # The functions at both ends of the ray agree between the kinks at 0.1 and at 0.1001.
    def net(x: Tensor) -> Tensor:
        return (x[:, :1] - 0.1).relu() + 2 * (x[:, :1] - 0.1001).relu() + x[:, 1:]

    here = kink_walk.pieces_of(net, torch.zeros(1, 2, dtype=torch.float64))
    right = torch.tensor([[[1.0, 0.0]]], dtype=torch.float64)
    beyond, _ = kink_walk._first_kinks(lambda x: kink_walk.pieces_of(net, x), here, right, torch.tensor([1e-8]))
    assert beyond.gradients.flatten().tolist() == [1, 1]
    assert float(beyond.points[0, 0, 0]) == pytest.approx(0.1, abs=1e-7)


def test_three_pieces_meet_in_a_corner() -> None:
    # Kinks at x = 0.3 and at y = -0.2, seen from the origin in a turned plane.
    at = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, -1.0]], dtype=torch.float64)
    pieces = kink_walk.pieces_of(lambda x: (x[:, :1] - 0.3).relu() + 2 * (-x[:, 1:] - 0.2).relu() + x[:, 1:], at)
    here, sides = pieces.where(at[:, 0] + at[:, 1] == 0), kink_walk.Pieces(*(part[None, 1:] for part in pieces))
    plane = torch.tensor([[[0.6, 0.8], [-0.8, 0.6]]], dtype=torch.float64)
    corners, exist = kink_walk._corners(here, sides, plane)
    assert exist.all()
    assert (corners @ plane)[0, 0].tolist() == pytest.approx([0.3, -0.2])
