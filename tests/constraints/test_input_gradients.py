"""Input gradients and their graph, interpolates, and the error for missing generated samples."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from smooth_nets import HalfSquare, dead_net, draw, linear, rng, smooth_net
from torch import Tensor, nn

from lipschitz.constraints.base import Batch
from lipschitz.constraints.input_gradients import (
    generated_samples,
    input_gradient_norms,
    input_gradients,
    interpolate,
)


def test_the_gradient_of_a_linear_network_is_its_weight() -> None:
    gradients = input_gradients(linear([3.0, -4.0]), draw(5, 2))
    assert_allclose(gradients.detach(), np.tile([3.0, -4.0], (5, 1)), rtol=0, atol=0)


def test_norms_are_per_sample_over_all_other_axes() -> None:
    x = draw(5, 3, 4, 4)
    expected = [np.sqrt((sample**2).sum()) for sample in x.numpy()]
    assert_allclose(input_gradient_norms(HalfSquare(), x).detach(), expected, rtol=1e-12)


def test_the_points_are_constants_and_not_modified() -> None:
    for points in (draw(4, 1, 3, 3), draw(4, 1, 3, 3).requires_grad_()):
        wanted, kept = points.requires_grad, points.detach().clone()
        net = smooth_net()
        input_gradient_norms(net, points).sum().backward()
        assert points.requires_grad == wanted
        assert points.grad is None
        assert torch.equal(points, kept)
        assert net[0][0].weight.grad is not None


def test_computing_input_gradients_does_not_accumulate_parameter_gradients() -> None:
    net = smooth_net()
    input_gradients(net, draw(2, 1, 3, 3))
    assert all(parameter.grad is None for parameter in net.parameters())


def test_a_zero_norm_has_a_zero_gradient_not_nan() -> None:
    net = dead_net()
    norms = input_gradient_norms(net, draw(3, 2))
    assert torch.equal(norms, torch.zeros(3, dtype=torch.float64))
    norms.sum().backward()
    for name in ("0.weight", "2.weight"):
        gradient = net.get_parameter(name).grad
        assert gradient is not None
        assert torch.equal(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize("shape", [(2,), (3, 4, 4)])
def test_one_epsilon_per_sample_weights_the_real_sample(shape: tuple[int, ...]) -> None:
    real, generated = torch.ones(50, *shape), torch.zeros(50, *shape)
    points = interpolate(real, generated, rng()).flatten(1)
    assert points.dtype == torch.float32
    assert torch.equal(points, points[:, :1].expand_as(points))
    assert torch.equal(points[:, 0], torch.rand(50, generator=rng()))


def test_interpolates_lie_on_the_segment_of_their_own_pair() -> None:
    real, generated = draw(20, 3, 2), draw(20, 3, 2, seed=1)
    points = interpolate(real, generated, rng())
    to_real, to_generated = (points - real).flatten(1).norm(dim=1), (points - generated).flatten(1).norm(dim=1)
    assert_allclose(to_real + to_generated, (real - generated).flatten(1).norm(dim=1), rtol=1e-12)


def test_missing_generated_samples_are_an_error_of_one_line() -> None:
    batch = Batch(draw(3, 2), None)
    with pytest.raises(ValueError, match=r"^mine needs generated samples, .* has none; allowed: something else$"):
        generated_samples(batch, "mine", "something else")
    fake = draw(3, 2, seed=1)
    assert generated_samples(Batch(draw(3, 2), fake), "mine", "something else") is fake


def test_a_samples_gradient_does_not_depend_on_the_batch() -> None:
    net, x = smooth_net(), draw(4, 1, 3, 3)
    together = input_gradients(net, x)
    for i in range(len(x)):
        assert_allclose(input_gradients(net, x[i : i + 1]).detach(), together[i : i + 1].detach(), rtol=1e-12)


def test_a_network_may_return_a_vector() -> None:
    class Flat(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * x.sum(dim=1)

    assert_allclose(input_gradients(Flat(), draw(3, 2)).detach(), np.full((3, 2), 2.0))
