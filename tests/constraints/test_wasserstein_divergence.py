"""WGAN-div: values by hand, the interpolates, and gradients by finite differences and at zero."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pydantic import ValidationError
from smooth_nets import HalfSquare, check_parameter_gradients, dead_net, draw, linear, rng, smooth_net
from torch import nn

from lipschitz.constraints.base import Batch, Refusal, constrain
from lipschitz.constraints.input_gradients import interpolate
from lipschitz.constraints.wasserstein_divergence import WassersteinDivergence


@pytest.mark.parametrize(
    ("weight", "power", "expected"), [(2.0, 6.0, 2 * 5**6), (2.0, 1.0, 10), (0.5, 2.0, 12.5), (1.0, 2.5, 5**2.5)]
)
def test_a_linear_discriminator_by_hand(weight: float, power: float, expected: float) -> None:
    batch = Batch(draw(7, 2), draw(7, 2, seed=1))
    penalty = WassersteinDivergence(weight=weight, power=power).penalty(linear([3.0, 4.0]), batch, rng())
    assert penalty.item() == pytest.approx(expected, rel=1e-12)


def test_the_gradient_is_taken_at_interpolates() -> None:
    real, generated = draw(6, 3, 2), draw(6, 3, 2, seed=1)
    norms = np.linalg.norm(interpolate(real, generated, rng()).flatten(1).numpy(), axis=1)
    penalty = WassersteinDivergence().penalty(HalfSquare(), Batch(real, generated), rng())
    assert penalty.item() == pytest.approx(2 * (norms**6).mean(), rel=1e-12)


@pytest.mark.parametrize("power", [1.0, 1.5, 2.0, 6.0])
def test_the_parameters_gradient_equals_finite_differences(power: float) -> None:
    net, batch = smooth_net(), Batch(draw(3, 1, 3, 3), draw(3, 1, 3, 3, seed=1))
    with torch.no_grad():
        # Norms of about one, so that high powers are not lost in rounding.
        for parameter in net.parameters():
            parameter.mul_(2)
    constraint = WassersteinDivergence(power=power)
    assert check_parameter_gradients(net, lambda: constraint.penalty(net, batch, rng())) >= 5


def test_the_parameter_gradient_of_a_linear_discriminator_by_hand() -> None:
    net = linear([3.0, 4.0])
    WassersteinDivergence(weight=1.0, power=3.0).penalty(net, Batch(draw(7, 2), draw(7, 2, seed=1)), rng()).backward()
    # d ‖w‖³ = 3 ‖w‖ w.
    assert_allclose(net.weight.grad, np.array([[45.0, 60.0]]), rtol=1e-12)


@pytest.mark.parametrize("power", [1.0, 1.25, 1.5, 2.0, 6.0])
def test_a_constant_discriminator_gives_zero_not_nan(power: float) -> None:
    net = dead_net()
    batch = Batch(draw(3, 2), draw(3, 2, seed=1))
    penalty = WassersteinDivergence(power=power).penalty(net, batch, rng())
    assert penalty.item() == 0
    penalty.backward()
    for name in ("0.weight", "2.weight"):
        gradient = net.get_parameter(name).grad
        assert gradient is not None
        assert torch.equal(gradient, torch.zeros_like(gradient))


def test_a_power_below_one_is_an_error() -> None:
    with pytest.raises(ValidationError, match="power"):
        WassersteinDivergence(power=0.5)


def test_the_defaults_are_those_of_the_paper() -> None:
    assert (WassersteinDivergence().weight, WassersteinDivergence().power) == (2, 6)
    assert WassersteinDivergence.double_backward


def test_missing_generated_samples_are_an_error() -> None:
    with pytest.raises(
        ValueError, match=r"wasserstein_divergence needs generated samples, .* allowed: zero_centered_penalty"
    ):
        WassersteinDivergence().penalty(linear([1.0]), Batch(draw(3, 1), None), rng())


def test_batch_normalization_is_refused() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    with pytest.raises(Refusal, match=r"^wasserstein_divergence .* batch normalization in '1' makes it depend on"):
        constrain(net, [WassersteinDivergence()], (2,))
