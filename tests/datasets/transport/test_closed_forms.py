"""Pairs with optimal transport in closed form: line, translation, ball_to_ring."""

import math

import pytest
import torch
from pydantic import ValidationError
from scipy.integrate import quad
from scipy.stats import kstest, multivariate_normal, wasserstein_distance
from torch.testing import assert_close

from lipschitz.datasets.transport.closed_forms import BallToRing, Line, ScaledGaussian, Translation

CPU = torch.device("cpu")


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def load(dataset):
    return dataset.load(None, CPU)


def points(*rows):
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize(
    ("scale", "shift", "w1"),
    [
        (2.0, 0.5, 0.625),
        (2.0, 0.0, 0.5),
        (0.5, 0.25, 0.3125),
        (0.5, -0.25, 0.3125),
        (1.0, -2.0, 2.0),
        (3.0, -5.0, 5.0),
        (3.0, 2.0, 2.0),
        (3.0, 1.999, (4 + 1.999**2) / 4),
        (1e6, 1.0, 499999.5),
    ],
)
def test_w1_on_the_line_by_hand_and_by_scipy(scale, shift, w1):
    data = load(Line(scale=scale, shift=shift))
    assert data.w1 == pytest.approx(w1, rel=1e-8)
    middles = torch.linspace(-1, 1, 2001, dtype=torch.float64)
    middles = (middles[1:] + middles[:-1]) / 2
    assert wasserstein_distance(data.move(middles[:, None])[:, 0], middles) == pytest.approx(w1, rel=1e-5)


@pytest.mark.parametrize(("scale", "shift"), [(2.0, 0.5), (0.5, -0.25), (0.5, 0.25), (3.0, -1.0)])
def test_the_potential_of_a_line_has_its_kink_at_the_fixed_point(scale, shift):
    data, fixed = load(Line(scale=scale, shift=shift)), shift / (1 - scale)
    left, at, right = y = points([fixed - 0.1], [fixed], [fixed + 0.1])
    moved = data.move(y)
    assert_close(moved[1], at)
    # The potential rises in the direction of the move: outward if the map expands, inward if it shrinks.
    outward = 1.0 if scale > 1 else -1.0
    assert math.copysign(1, float(moved[0] - left)) == -outward
    assert math.copysign(1, float(moved[2] - right)) == outward
    assert data.slope(y)[[0, 2], 0].tolist() == [-outward, outward]
    assert abs(float(data.slope(y)[1])) == 1
    assert_close(data.potential(y) - data.potential(points([fixed])), outward * torch.tensor([0.1, 0, 0.1]).double())


@pytest.mark.parametrize(("scale", "shift"), [(1.0, -2.0), (3.0, -5.0), (0.5, -0.5), (1.0, 1e-9), (1 + 1e-12, 1.0)])
def test_the_potential_of_a_line_without_a_fixed_point_is_linear(scale, shift):
    data, way = load(Line(scale=scale, shift=shift)), math.copysign(1, shift)
    x = torch.linspace(-10, 10, 101, dtype=torch.float64)[:, None]
    assert torch.equal(data.potential(x), way * x[:, 0])
    assert torch.equal(data.slope(x), torch.full_like(x, way))


def test_q_of_the_line_is_uniform():
    y = load(Line()).target(5000, rng())[:, 0]
    assert kstest(y.numpy(), "uniform", (-1, 2)).pvalue > 0.01


@pytest.mark.parametrize("dim", [1, 2, 3, 16, 64])
def test_a_translation_moves_all_points_by_the_distance_in_one_direction(dim):
    data = load(Translation(dim=dim, distance=3.0))
    y = torch.randn(100, dim, generator=rng(), dtype=torch.float64)
    moved = data.move(y) - y
    assert_close(moved, moved[:1].expand_as(moved))
    assert_close(moved.norm(dim=1), torch.full((100,), 3.0, dtype=torch.float64))
    assert_close(moved, 3.0 * data.slope(y))
    assert_close(data.potential(y), y @ data.slope(y)[0])
    assert data.w1 == 3.0


@pytest.mark.parametrize("dim", [2, 3, 16, 64])
def test_the_direction_of_a_translation_is_neither_an_axis_nor_a_diagonal(dim):
    slope = load(Translation(dim=dim)).slope(torch.zeros(1, dim, dtype=torch.float64))[0]
    # The l1 norm of an axis is 1, that of a diagonal √dim.
    assert 1.1 < float(slope.abs().sum()) < 0.95 * math.sqrt(dim)
    assert_close(slope / slope[0], torch.arange(1, dim + 1, dtype=torch.float64))


@pytest.mark.parametrize(("dim", "scale"), [(1, 2.0), (2, 0.5), (7, 1.5)])
def test_the_log_ratio_of_gaussians_is_that_of_scipy(dim, scale):
    pair, moved = load(ScaledGaussian(dim=dim, scale=scale)), load(Translation(dim=dim, distance=scale))
    x = 2 * torch.randn(50, dim, generator=rng(), dtype=torch.float64)
    q = multivariate_normal(torch.zeros(dim)).logpdf(x)
    p = multivariate_normal(torch.zeros(dim), scale**2 * torch.eye(dim)).logpdf(x)
    assert_close(pair.log_ratio(x).numpy(), p - q)
    mean = moved.move(torch.zeros(1, dim, dtype=torch.float64))[0]
    assert_close(moved.log_ratio(x).numpy(), multivariate_normal(mean).logpdf(x) - q)


@pytest.mark.parametrize(("scale", "w1"), [(2.0, math.sqrt(math.pi / 2)), (0.5, math.sqrt(math.pi / 8))])
def test_w1_of_a_scaled_gaussian_in_the_plane_is_a_mean_radius(scale, w1):
    # ‖y‖ has a Rayleigh distribution, of mean √(π/2).
    assert load(ScaledGaussian(dim=2, scale=scale)).w1 == pytest.approx(w1, rel=1e-12)


def test_q_of_a_translation_is_standard_normal():
    y = load(Translation(dim=3)).target(5000, rng())
    assert all(kstest(axis.numpy(), "norm").pvalue > 0.01 for axis in y.T)
    assert y.T.corrcoef().fill_diagonal_(0).abs().max() < 0.05


@pytest.mark.parametrize(
    ("radius", "inner", "outer", "w1"), [(1, 2, 3, 28 / 15), (1, 1, 2, 14 / 9 - 2 / 3), (0.5, 1.5, 2, None)]
)
def test_w1_from_a_ball_to_a_ring_by_quadrature(radius, inner, outer, w1):
    data = load(BallToRing(radius=radius, inner=inner, outer=outer))
    area = outer**2 - inner**2

    def cost(r):
        return (math.sqrt(inner**2 + (r / radius) ** 2 * area) - r) * 2 * r / radius**2

    assert data.w1 == pytest.approx(quad(cost, 0, radius)[0], rel=1e-8)
    assert w1 is None or data.w1 == pytest.approx(w1)


def test_w1_to_a_thin_distant_ring_is_accurate():
    data = load(BallToRing(radius=1, inner=1000, outer=1000 + 1e-9))
    assert data.w1 == pytest.approx(1000 - 2 / 3, rel=1e-12)


def test_the_ball_and_the_ring_are_uniform():
    radius, inner, outer = 1.0, 1.5, 2.0
    data = load(BallToRing(radius=radius, inner=inner, outer=outer))
    y, x = data.target(5000, rng()).double(), data.source(5000, rng(1)).double()
    assert kstest((y.norm(dim=1) / radius) ** 2, "uniform").pvalue > 0.01
    assert kstest((x.norm(dim=1) ** 2 - inner**2) / (outer**2 - inner**2), "uniform").pvalue > 0.01
    for cloud in (x, y):
        assert kstest(torch.atan2(cloud[:, 1], cloud[:, 0]), "uniform", (-math.pi, 2 * math.pi)).pvalue > 0.01


def test_a_point_of_the_ball_moves_outward_so_that_areas_correspond():
    data = load(BallToRing(radius=1, inner=1, outer=2))
    y = points([0.5, 0.0], [0.0, -1.0], [0.36, 0.48])
    assert_close(data.move(y), points([math.sqrt(1.75), 0.0], [0.0, -2.0], [0.6 * 2.08**0.5, 0.8 * 2.08**0.5]))
    assert_close(data.slope(y), points([1.0, 0.0], [0.0, -1.0], [0.6, 0.8]))
    assert_close(data.potential(y), points(0.5, 1.0, 0.6))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_centre_of_the_ball_moves_to_the_inner_rim(dtype):
    data = load(BallToRing())
    y = torch.tensor([[0.0, 0.0], [-0.0, 0.0], [1e-30, 0.0]], dtype=dtype)
    assert_close(data.move(y), 1.5 * data.slope(y))
    assert_close(data.slope(y).norm(dim=1), torch.ones(3, dtype=dtype))
    at = y.requires_grad_()
    data.potential(at).sum().backward()
    assert at.grad.isfinite().all()


@pytest.mark.parametrize(
    ("kind", "fields", "found"),
    [
        (Line, {"scale": 1.0, "shift": 0.0}, "scale 1 and shift 0 make T the identity, so W1 is 0"),
        (Line, {"scale": 0.0}, "scale"),
        (Line, {"scale": -2.0}, "scale"),
        (Line, {"shift": math.inf}, "shift"),
        (Translation, {"dim": 0}, "dim"),
        (Translation, {"distance": 0.0}, "distance"),
        (Translation, {"distance": -1.0}, "distance"),
        (ScaledGaussian, {"scale": 1.0}, "scale 1 makes P and Q the same, so W1 is 0"),
        (BallToRing, {"radius": 1.6}, "expected radius <= inner < outer, got radius 1.6, inner 1.5 and outer 2"),
        (BallToRing, {"inner": 2.0}, "got radius 1, inner 2 and outer 2"),
        (BallToRing, {"outer": 1.0}, "got radius 1, inner 1.5 and outer 1"),
        (BallToRing, {"radius": 0.0}, "radius"),
    ],
)
def test_fields_without_a_valid_pair_are_refused(kind, fields, found):
    with pytest.raises(ValidationError, match=found) as caught:
        kind(**fields)
    (error,) = caught.value.errors()
    assert "\n" not in error["msg"]
