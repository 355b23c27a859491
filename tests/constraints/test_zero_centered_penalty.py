"""R1 and R2 penalties: values by hand, gradients by finite differences, and required samples."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pydantic import ValidationError
from smooth_nets import HalfSquare, check_parameter_gradients, dead_net, draw, linear, rng, smooth_net
from torch import nn

from lipschitz.constraints.base import Batch, Refusal, constrain
from lipschitz.constraints.zero_centered_penalty import ZeroCenteredPenalty

POINTS = ("real", "generated", "both")


@pytest.mark.parametrize(("points", "expected"), [("real", 5 * 25.0), ("generated", 5 * 25.0), ("both", 10 * 25.0)])
def test_a_linear_discriminator_by_hand(points: str, expected: float) -> None:
    batch = Batch(draw(7, 2), draw(7, 2, seed=1))
    penalty = ZeroCenteredPenalty(points=points).penalty(linear([3.0, 4.0]), batch, rng())
    assert penalty.item() == pytest.approx(expected, rel=1e-12)


def test_the_penalty_is_the_mean_over_the_configured_points() -> None:
    real, generated = draw(6, 3, 2), draw(6, 3, 2, seed=1)
    # D(x) = |x|²/2 has the gradient x.
    r1, r2 = (3 * (x.numpy() ** 2).sum(axis=(1, 2)).mean() for x in (real, generated))
    for points, expected in (("real", r1), ("generated", r2), ("both", r1 + r2)):
        penalty = ZeroCenteredPenalty(weight=6.0, points=points).penalty(HalfSquare(), Batch(real, generated), rng())
        assert penalty.item() == pytest.approx(expected, rel=1e-12), points
    assert not real.requires_grad
    assert not generated.requires_grad


def test_real_and_generated_samples_are_averaged_separately() -> None:
    real, generated = torch.full((2, 1), 1.0).double(), torch.full((6, 1), 2.0).double()
    penalty = ZeroCenteredPenalty(weight=2.0, points="both").penalty(HalfSquare(), Batch(real, generated), rng())
    assert penalty.item() == pytest.approx(1 + 4)


@pytest.mark.parametrize("points", POINTS)
def test_the_parameters_gradient_equals_finite_differences(points: str) -> None:
    net, batch = smooth_net(), Batch(draw(3, 1, 3, 3), draw(3, 1, 3, 3, seed=1))
    constraint = ZeroCenteredPenalty(points=points)
    assert check_parameter_gradients(net, lambda: constraint.penalty(net, batch, rng())) >= 5


def test_the_parameter_gradient_of_a_linear_discriminator_by_hand() -> None:
    net = linear([3.0, -4.0])
    ZeroCenteredPenalty(weight=0.5).penalty(net, Batch(draw(7, 2), None), rng()).backward()
    assert_allclose(net.weight.grad, np.array([[1.5, -2.0]]), rtol=1e-12)


def test_a_constant_discriminator_gives_zero() -> None:
    net = dead_net()
    penalty = ZeroCenteredPenalty(points="both").penalty(net, Batch(draw(3, 2), draw(3, 2, seed=1)), rng())
    assert penalty.item() == 0
    penalty.backward()
    for name in ("0.weight", "2.weight"):
        gradient = net.get_parameter(name).grad
        assert gradient is not None
        assert torch.equal(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize("points", ["generated", "both"])
def test_missing_generated_samples_are_an_error(points: str) -> None:
    expected = f"zero_centered_penalty on {points} needs generated samples, .* allowed: points: real"
    with pytest.raises(ValueError, match=expected):
        ZeroCenteredPenalty(points=points).penalty(linear([1.0]), Batch(draw(3, 1), None), rng())


def test_r1_needs_no_generated_samples() -> None:
    penalty = ZeroCenteredPenalty().penalty(linear([2.0]), Batch(draw(3, 1), None), rng())
    assert penalty.item() == pytest.approx(20)


def test_it_draws_no_random_numbers() -> None:
    generator = rng()
    ZeroCenteredPenalty(points="both").penalty(linear([1.0]), Batch(draw(3, 1), draw(3, 1)), generator)
    assert torch.equal(generator.get_state(), rng().get_state())


def test_the_defaults_are_those_of_the_paper() -> None:
    assert (ZeroCenteredPenalty().weight, ZeroCenteredPenalty().points) == (10, "real")
    assert ZeroCenteredPenalty.double_backward
    with pytest.raises(ValidationError, match="points"):
        ZeroCenteredPenalty(points="interpolates")


def test_batch_normalization_is_refused() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    with pytest.raises(Refusal, match=r"^zero_centered_penalty .* batch normalization in '1' makes it depend on"):
        constrain(net, [ZeroCenteredPenalty()], (2,))


def test_a_lazy_penalty_is_taken_in_the_first_of_as_many_updates() -> None:
    method, plain = ZeroCenteredPenalty(weight=2.0, every=3), ZeroCenteredPenalty(weight=2.0)
    net = constrain(nn.Sequential(nn.Linear(2, 1)).double(), [method], (2,))
    batch = Batch(draw(4, 2), draw(4, 2, seed=1))
    found = []
    for _ in range(7):
        method.track(net, batch)
        found.append(method.penalty(net, batch, rng()).item())
    once = plain.penalty(net, batch, rng()).item()
    assert found == pytest.approx([3 * once, 0, 0, 3 * once, 0, 0, 3 * once])
    resumed = constrain(nn.Sequential(nn.Linear(2, 1)).double(), [method], (2,))
    resumed.load_state_dict(net.state_dict())
    method.track(resumed, batch)
    assert method.penalty(resumed, batch, rng()).item() == 0
    assert method.why_uncapturable()
    assert not plain.why_uncapturable()


def test_real_and_generated_samples_may_have_penalties_of_their_own() -> None:
    both = [ZeroCenteredPenalty(weight=2.0), ZeroCenteredPenalty(weight=1.0, points="generated")]
    net = constrain(nn.Sequential(nn.Linear(2, 1)), both, (2,))
    assert not list(net.buffers())
    with pytest.raises(Refusal, match="zero_centered_penalty is listed twice"):
        constrain(nn.Sequential(nn.Linear(2, 1)), [ZeroCenteredPenalty(every=2), ZeroCenteredPenalty(every=3)], (2,))
