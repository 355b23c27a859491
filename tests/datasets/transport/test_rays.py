"""Rays of funnels against a brute-force search and against lengths worked out by hand."""

import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from lipschitz.datasets.transport.rays import HALF, Geometry


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def geometry(dim, width, *, spread=0.3, degree=8.0, seed=0):
    """Return funnels of different heights, of which some lie inside others."""
    generator = rng(seed)
    centers = HALF * (2 * torch.rand(width, dim, generator=generator, dtype=torch.float64) - 1)
    return Geometry(centers, spread * torch.randn(width, generator=generator, dtype=torch.float64), degree)


def cube(n, dim, seed=1):
    return HALF * (2 * torch.rand(n, dim, generator=rng(seed), dtype=torch.float64) - 1)


def heights(x, funnels):
    """Return ‖x - a_n‖ + b_n ``(..., width)`` of points ``(..., d)``, by NumPy."""
    offsets = x.numpy()[..., None, :] - funnels.centers.numpy()
    return np.sqrt((offsets**2).sum(-1)) + funnels.biases.numpy()


@pytest.mark.parametrize(("dim", "width"), [(1, 6), (2, 1), (2, 12), (5, 8)])
def test_rays_equal_those_of_a_brute_force_search(dim, width):
    funnels, x = geometry(dim, width), cube(100, dim)
    ray = funnels.ray(x)
    active = heights(x, funnels).argmin(-1)
    assert np.array_equal(ray.center.numpy(), funnels.centers.numpy()[active])
    assert np.allclose(ray.direction.norm(dim=1).numpy(), 1)
    assert np.allclose((ray.center + ray.distance[:, None] * ray.direction - x).numpy(), 0, atol=1e-12)
    # No ray of the cube is longer than its diagonal.
    steps = torch.linspace(0, 2 * HALF * math.sqrt(dim), 2001, dtype=torch.float64)[1:]
    on_ray = ray.center[:, None] + steps[:, None] * ray.direction[:, None]
    over = (heights(on_ray, funnels).argmin(-1) != active[:, None]) | (on_ray.abs().amax(dim=-1) > HALF).numpy()
    assert over.any(axis=1).all()
    assert np.abs(steps.numpy()[over.argmax(axis=1)] - ray.length.numpy()).max() <= 1.001 * float(steps[0])


@pytest.mark.parametrize(("dim", "width"), [(2, 12), (5, 8), (16, 30)])
def test_a_ray_ends_at_the_wall_or_at_the_border_of_another_funnel(dim, width):
    funnels, x = geometry(dim, width), cube(500, dim)
    ray = funnels.ray(x)
    end = ray.center + ray.length[:, None] * ray.direction
    two = np.sort(heights(end, funnels), axis=-1)[:, :2]
    at_wall = np.isclose(end.abs().amax(dim=1).numpy(), HALF, atol=1e-9)
    shared = np.isclose(two[:, 0], two[:, 1], atol=1e-9)
    assert (at_wall | shared).all()
    assert at_wall.any()
    assert shared.any()
    assert (end.abs() <= HALF + 1e-9).all()
    # The funnel of the ray is the lowest along the whole ray.
    own = (end - ray.center).norm(dim=1).numpy() + funnels.biases.numpy()[heights(x, funnels).argmin(-1)]
    assert np.allclose(own, two[:, 0])


@pytest.mark.parametrize("dim", [2, 16])
def test_rounding_does_not_move_a_point_beyond_the_end_of_its_ray(dim):
    funnels, x = geometry(dim, 8), cube(5000, dim).float()
    x[:, 0] = x[:, 0].sign() * HALF
    ray = funnels.ray(x)
    assert (ray.distance <= ray.length).all()
    at_end = ray.distance == ray.length
    assert at_end.any()
    assert_close(funnels.move(x)[at_end], x[at_end], rtol=0, atol=1e-5)


def test_the_position_on_the_ray_is_raised_to_the_degree():
    funnels, x = geometry(3, 8, degree=3.0), cube(300, 3)
    ray, moved = funnels.ray(x), funnels.ray(funnels.move(x))
    assert torch.equal(moved.center, ray.center)
    assert torch.allclose(moved.length, ray.length)
    assert torch.allclose(moved.distance / moved.length, (ray.distance / ray.length) ** 3)


def test_one_funnel_by_hand():
    funnels = Geometry(torch.tensor([[0.5, 0.0]], dtype=torch.float64), torch.zeros(1, dtype=torch.float64), 2.0)
    # The distance to the wall is 2 to the right, 3 to the left, and 2.5 upward.
    y = torch.tensor([[1.5, 0.0], [-1.0, 0.0], [0.5, 2.0]], dtype=torch.float64)
    assert torch.allclose(funnels.ray(y).length, torch.tensor([2.0, 3.0, 2.5], dtype=torch.float64))
    assert torch.allclose(funnels.move(y), torch.tensor([[1.0, 0.0], [-0.25, 0.0], [0.5, 1.6]], dtype=torch.float64))
    assert torch.allclose(funnels.height(y), torch.tensor([1.0, 1.5, 2.0], dtype=torch.float64))


def test_two_funnels_by_hand():
    centers = torch.tensor([[-1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    funnels = Geometry(centers, torch.tensor([0.0, 0.5], dtype=torch.float64), 2.0)
    # Between the centres, s = (2 - s) + 0.5.
    y = torch.tensor([[-0.5, 0.0], [0.5, 0.0], [2.0, 0.0]], dtype=torch.float64)
    ray = funnels.ray(y)
    assert torch.allclose(ray.length, torch.tensor([1.25, 0.75, 1.5], dtype=torch.float64))
    assert torch.allclose(ray.distance, torch.tensor([0.5, 0.5, 1.0], dtype=torch.float64))
    assert torch.allclose(
        funnels.move(y)[:, 0], torch.tensor([-1 + 0.25 / 1.25, 1 - 0.25 / 0.75, 1 + 1 / 1.5], dtype=torch.float64)
    )


def test_a_funnel_inside_another_has_no_effect():
    pair = torch.tensor([[-1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    lost = torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
    two = Geometry(pair, torch.tensor([0.0, 0.1], dtype=torch.float64), 8.0)
    four = Geometry(torch.cat([pair, lost]), torch.tensor([0.0, 0.1, 3.0, 0.0], dtype=torch.float64), 8.0)
    x = cube(500, 2)
    assert torch.equal(two.move(x), four.move(x))
