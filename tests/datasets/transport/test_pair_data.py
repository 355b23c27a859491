"""Contracts of every pair with known optimal transport. Pairs are found by discovery, so a new file is tested, too."""

import functools
import math

import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.testing import assert_close

from lipschitz.datasets.base import DATASETS, PairData
from lipschitz.datasets.transport.closed_forms import BallToRing, Line, ScaledGaussian, Translation
from lipschitz.datasets.transport.funnels import Funnels

CPU = torch.device("cpu")
DEFAULTS = [kind() for kind in DATASETS.values() if kind.kind == "pairs"]
OTHERS = [
    BallToRing(radius=1.5, inner=1.5, outer=1.6),
    Funnels(dim=1, width=1),
    Funnels(dim=3, width=8, degree=2.5, seed=3),
    Funnels(dim=16, width=64),
    Line(scale=0.5, shift=0.25),
    Line(scale=1, shift=-2),
    Line(scale=3, shift=-5),
    ScaledGaussian(dim=5, scale=0.5),
    Translation(dim=1, distance=0.1),
    Translation(dim=64, distance=3),
]
N = 2000


@functools.cache
def loaded(dataset) -> PairData:
    return dataset.load(None, CPU)


@pytest.fixture(params=DEFAULTS + OTHERS, ids=lambda dataset: dataset.label())
def dataset(request):
    return request.param


@pytest.fixture
def pair(dataset) -> PairData:
    return loaded(dataset)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gradient(potential, x: Tensor) -> Tensor:
    at = x.clone().requires_grad_()
    (gradients,) = torch.autograd.grad(potential(at).sum(), at)
    return gradients


def distances(pair: PairData, seed: int = 0) -> Tensor:
    plan = pair.plan(N, rng(seed))
    return (plan.source - plan.target).norm(dim=1)


def test_the_kinds_of_pairs_are_found():
    assert {"ball_to_ring", "funnels", "line", "scaled_gaussian", "translation"} <= {
        dataset.name() for dataset in DEFAULTS
    }


def test_a_known_log_ratio_is_that_of_the_densities(dataset, pair):
    assert (pair.log_ratio is not None) == dataset.has_log_ratio
    if pair.log_ratio is None:
        return
    near, far = (pair.log_ratio(points) for points in pair.plan(200_000, rng()))
    assert near.shape == far.shape == (200_000,)
    # The share of P where p > q, and that of Q, are masses of the same set: E_P[q/p; p > q] = Q(p > q).
    assert float(((-near).exp() * (near > 0)).mean()) == pytest.approx(float((far > 0).double().mean()), abs=0.01)
    assert float((far.exp() * (far < 0)).mean()) == pytest.approx(float((near < 0).double().mean()), abs=0.01)


def test_shapes_and_dtypes(dataset, pair):
    assert pair.shape == dataset.shape == (pair.dimension,)
    assert pair.source(5, rng()).dtype == pair.target(5, rng()).dtype == torch.float32
    for dtype in (torch.float32, torch.float64):
        y = pair.draw(5, rng(), dtype)
        for points in (y, pair.move(y), pair.slope(y)):
            assert points.dtype == dtype
            assert points.shape == (5, *dataset.shape)
        assert pair.potential(y).dtype == dtype
        assert pair.potential(y).shape == (5,)


def test_each_sample_of_p_is_a_moved_sample_of_q(pair):
    assert torch.equal(pair.source(50, rng()), pair.move(pair.target(50, rng())))
    plan = pair.plan(50, rng())
    assert plan.target.dtype == torch.float64
    assert torch.equal(plan.target, pair.draw(50, rng(), torch.float64))
    assert torch.equal(plan.source, pair.move(plan.target))
    assert not torch.equal(plan.target, pair.plan(50, rng(1)).target)


def test_loading_again_gives_the_same_pair(dataset, pair):
    again = dataset.load(None, CPU)
    assert torch.equal(again.source(50, rng()), pair.source(50, rng()))
    assert (again.w1, again.w1_error, again.hash) == (pair.w1, pair.w1_error, pair.hash)


def test_every_pair_has_another_hash():
    hashes = [loaded(dataset).hash for dataset in DEFAULTS + OTHERS]
    assert len(set(hashes)) == len(hashes)
    assert all(len(bytes.fromhex(one)) == 32 for one in hashes)


def test_float32_and_float64_moves_agree(pair):
    y = pair.target(20_000, rng())
    assert_close(pair.move(y).double(), pair.move(y.double()), rtol=1e-5, atol=1e-4)
    # Near a kink rounding may choose the other side.
    agree = (pair.slope(y).double() - pair.slope(y.double())).norm(dim=1) < 1e-3
    assert agree.double().mean() > 0.995


def test_the_potential_is_1_lipschitz(pair):
    plan = pair.plan(N, rng())
    outside = 5 * torch.randn(N, pair.dimension, generator=rng(1), dtype=torch.float64)
    between = torch.lerp(plan.target, plan.source, torch.rand(N, 1, generator=rng(2), dtype=torch.float64))
    for x in (plan.source, plan.target, between, outside):
        assert gradient(pair.potential, x).norm(dim=1).max() <= 1 + 1e-9
        y = x[torch.randperm(N, generator=rng(3))]
        assert ((pair.potential(x) - pair.potential(y)).abs() <= (x - y).norm(dim=1) + 1e-9).all()


def test_the_gradient_of_the_potential_at_p_has_norm_one(pair):
    plan = pair.plan(N, rng())
    slope = pair.slope(plan.target)
    assert_close(slope.norm(dim=1), torch.ones(N, dtype=torch.float64))
    equal = (gradient(pair.potential, plan.source) - slope).norm(dim=1) < 1e-6
    # A point near a funnel's centre may be rounded to the kink.
    assert equal.double().mean() > 0.98


def test_the_difference_of_potentials_is_the_cost_of_each_point(pair):
    plan = pair.plan(N, rng())
    assert_close(pair.potential(plan.source) - pair.potential(plan.target), distances(pair), rtol=1e-9, atol=1e-12)


def test_points_move_in_the_direction_of_the_slope(pair):
    plan = pair.plan(N, rng())
    moved = plan.source - plan.target
    assert_close(moved, pair.slope(plan.target) * moved.norm(dim=1, keepdim=True), rtol=1e-6, atol=1e-9)
    assert (moved.norm(dim=1) > 0).double().mean() > 0.99


def test_the_plan_is_optimal_for_its_samples(pair):
    plan = pair.plan(200, rng())
    costs = torch.cdist(plan.source, plan.target, compute_mode="donot_use_mm_for_euclid_dist").numpy()
    cheapest = costs[linear_sum_assignment(costs)].mean()
    assert costs.diagonal().mean() == pytest.approx(cheapest, rel=1e-9)


def test_the_order_along_a_ray_is_kept(pair):
    plan = pair.plan(N, rng())
    ray = pair.slope(plan.target)
    # All points between y and T(y) lie on the same ray.
    share = torch.rand(N, 1, generator=rng(1), dtype=torch.float64) * 0.999
    further = torch.lerp(plan.target, plan.source, share)
    step = pair.move(further) - plan.source
    along = (step * ray).sum(dim=1)
    assert (along >= -1e-12).all()
    assert (along > 0).double().mean() > 0.98
    assert_close(step, along[:, None] * ray, rtol=1e-6, atol=1e-9)


def test_w1_is_the_mean_distance(pair):
    cost = distances(pair)
    error = math.hypot(float(cost.std()) / math.sqrt(N), pair.w1_error)
    assert pair.w1 > 0
    assert float(cost.mean()) == pytest.approx(pair.w1, abs=4 * error + 1e-9)
    assert error < 0.05 * pair.w1
    assert pair.w1_error < 0.002 * pair.w1


def test_the_extent_of_a_pair_in_the_plane_contains_both_distributions(pair):
    if pair.dimension != 2:
        assert pair.extent is None
        return
    xmin, xmax, ymin, ymax = pair.extent
    low, high = torch.tensor([xmin, ymin]), torch.tensor([xmax, ymax])
    for points in (pair.source(N, rng()), pair.target(N, rng())):
        inside = (points > low).all(dim=1) & (points < high).all(dim=1)
        assert inside.double().mean() > 0.999
