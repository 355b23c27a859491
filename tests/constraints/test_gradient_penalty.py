"""Gradient penalty: values by hand, common implementation errors, and gradients by finite differences."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pydantic import ValidationError
from smooth_nets import HalfSquare, check_parameter_gradients, dead_net, draw, linear, rng, smooth_net
from torch import Tensor, nn

from lipschitz.constraints.base import Batch, Constraint, Refusal, constrain
from lipschitz.constraints.gradient_penalty import GradientPenalty, perturb
from lipschitz.constraints.input_gradients import interpolate
from lipschitz.constraints.spectral_normalization import SpectralNormalization

POINTS = ("interpolates", "real", "generated", "perturbed_real", "between_real_and_perturbed")


@pytest.mark.parametrize("points", POINTS)
@pytest.mark.parametrize(
    ("weight", "one_sided", "expected"),
    [
        ([3.0, 4.0], False, 10 * 16.0),
        ([3.0, 4.0], True, 10 * 16.0),
        ([0.6, 0.8], False, 0.0),
        ([0.3, 0.4], False, 10 * 0.25),
        ([0.3, 0.4], True, 0.0),
    ],
)
def test_a_linear_discriminator_by_hand(weight: list[float], one_sided: bool, expected: float, points: str) -> None:
    batch = Batch(draw(7, 2), draw(7, 2, seed=1))
    penalty = GradientPenalty(one_sided=one_sided, points=points).penalty(linear(weight), batch, rng())
    assert penalty.item() == pytest.approx(expected, abs=1e-12)


def test_weight_is_lambda() -> None:
    batch = Batch(draw(7, 2), draw(7, 2, seed=1))
    assert GradientPenalty(weight=0.5).penalty(linear([3.0, 4.0]), batch, rng()).item() == pytest.approx(8.0)


def test_the_norm_is_per_sample_over_all_other_axes() -> None:
    x = draw(5, 3, 4, 4)
    norms = np.array([math.sqrt((sample**2).sum()) for sample in x.numpy()])
    # Real and generated samples are equal, so every interpolate is that sample, and the gradient there is the sample.
    penalty = GradientPenalty(weight=1.0).penalty(HalfSquare(), Batch(x, x.clone()), rng())
    assert penalty.item() == pytest.approx(((norms - 1) ** 2).mean(), rel=1e-12)
    one_sided = GradientPenalty(weight=1.0, one_sided=True).penalty(HalfSquare(), Batch(x / 8, x / 8), rng())
    assert one_sided.item() == pytest.approx((np.maximum(norms / 8 - 1, 0) ** 2).mean(), rel=1e-12)


@pytest.mark.parametrize("points", POINTS)
def test_the_gradient_is_taken_at_the_configured_points(points: str) -> None:
    real, generated = draw(6, 3, 2), draw(6, 3, 2, seed=1)
    shared = rng()
    expected = {
        "interpolates": interpolate(real, generated, rng()),
        "real": real,
        "generated": generated,
        "perturbed_real": perturb(real, 0.5, rng()),
        "between_real_and_perturbed": interpolate(perturb(real, 0.5, shared), real, shared),
    }[points]
    norms = np.linalg.norm(expected.flatten(1).numpy(), axis=1)
    penalty = GradientPenalty(weight=1.0, points=points).penalty(HalfSquare(), Batch(real, generated), rng())
    assert penalty.item() == pytest.approx(((norms - 1) ** 2).mean(), rel=1e-12)
    assert not real.requires_grad
    assert not generated.requires_grad


def test_the_default_is_bit_identical_to_a_plain_wgan_gp() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
    real, generated = draw(16, 2).float(), draw(16, 2, seed=1).float()
    epsilon = torch.rand(16, 1, generator=rng())
    points = torch.lerp(generated, real, epsilon).requires_grad_()
    (gradient,) = torch.autograd.grad(net(points).sum(), points, create_graph=True)
    expected = 10.0 * (torch.linalg.vector_norm(gradient, dim=1) - 1).square().mean()
    assert torch.equal(GradientPenalty().penalty(net, Batch(real, generated), rng()), expected)


# DRAGAN's noise.


def test_the_noise_is_uniform_between_zero_and_half_a_standard_deviation() -> None:
    real = 3 + draw(200, 3, 5) * torch.tensor([1.0, 1.0, 2.0, 4.0, 8.0])
    shift = (perturb(real, 0.5, rng()) - real).numpy()
    deviation = real.numpy().std()
    assert shift.min() >= 0
    assert shift.max() < 0.5 * deviation
    # The noise is uniform per entry and does not depend on the column: 600 draws per column come near both ends.
    assert shift.min(axis=(0, 1)).max() < 0.01 * deviation
    assert shift.max(axis=(0, 1)).min() > 0.49 * deviation
    assert shift.mean() == pytest.approx(0.25 * deviation, rel=0.05)
    assert len(np.unique(shift.round(12))) == shift.size


def test_the_noise_is_in_population_standard_deviations() -> None:
    # 0 and 2 deviate by 1 from their mean; with Bessel's correction it would be √2.
    real = torch.tensor([[0.0], [2.0]], dtype=torch.float64)
    expected = real + 0.5 * torch.rand(2, 1, generator=rng(), dtype=torch.float64)
    assert_allclose(perturb(real, 0.5, rng()), expected, rtol=1e-15)


def test_the_noise_scales_and_uses_the_constraint_stream() -> None:
    real, state = draw(10, 2), torch.get_rng_state()
    unit = perturb(real, 1.0, rng(3)) - real
    assert_allclose(perturb(real, 0.25, rng(3)), real + unit / 4, rtol=1e-12)
    assert torch.equal(perturb(real, 1.0, rng(3)), perturb(real, 1.0, rng(3)))
    assert not torch.equal(perturb(real, 1.0, rng(3)), perturb(real, 1.0, rng(4)))
    assert torch.equal(perturb(real, 0.0, rng(3)), real)
    assert perturb(real.float(), 1.0, rng()).dtype == torch.float32
    assert torch.equal(torch.get_rng_state(), state)
    penalties = [
        GradientPenalty(points="perturbed_real", noise=noise).penalty(HalfSquare(), Batch(real, None), rng()).item()
        for noise in (0.5, 0.5, 2.0)
    ]
    assert penalties[0] == penalties[1] != penalties[2]


def test_noise_without_perturbed_real_points_is_an_error() -> None:
    assert GradientPenalty(points="perturbed_real", noise=0.1).noise == 0.1
    with pytest.raises(ValidationError, match="noise moves perturbed_real points alone, not real"):
        GradientPenalty(points="real", noise=0.1)


# Gradients.


def test_a_constant_discriminator_gives_a_zero_gradient_not_nan() -> None:
    net = dead_net()
    penalty = GradientPenalty().penalty(net, Batch(draw(3, 2), draw(3, 2, seed=1)), rng())
    assert penalty.item() == pytest.approx(10)
    penalty.backward()
    for parameter in net.parameters():
        assert parameter.grad is None or torch.equal(parameter.grad, torch.zeros_like(parameter))
    assert net[0].weight.grad is not None


@pytest.mark.parametrize("others", [(), (SpectralNormalization(),)], ids=["bare", "normalised"])
@pytest.mark.parametrize(
    "constraint",
    [
        GradientPenalty(),
        GradientPenalty(points="real"),
        GradientPenalty(points="generated"),
        GradientPenalty(points="perturbed_real"),
        GradientPenalty(one_sided=True),
    ],
    ids=GradientPenalty.label,
)
def test_the_parameters_gradient_equals_finite_differences(
    constraint: GradientPenalty, others: tuple[Constraint, ...]
) -> None:
    net = constrain(smooth_net(), others, (1, 3, 3))
    with torch.no_grad():
        # Change the weights, so that u and v are not exact singular vectors and σ = uᵀWv is not stationary in them.
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=rng(3), dtype=torch.float64))
            if constraint.one_sided:
                # Make gradient norms exceed one, because the one-sided penalty is zero below.
                parameter.mul_(4)
    batch = Batch(draw(3, 1, 3, 3), draw(3, 1, 3, 3, seed=1))

    def penalty() -> Tensor:
        return constraint.penalty(net, batch, rng())

    if constraint.one_sided and not others:
        assert penalty() > 1
    assert check_parameter_gradients(net, penalty) >= 5


def test_computing_the_penalty_does_not_accumulate_parameter_gradients() -> None:
    net = linear([3.0, 4.0])
    GradientPenalty().penalty(net, Batch(draw(3, 2), draw(3, 2)), rng())
    assert all(parameter.grad is None for parameter in net.parameters())


# Supported tasks and networks.


@pytest.mark.parametrize("points", ["interpolates", "generated"])
def test_missing_generated_samples_are_an_error(points: str) -> None:
    expected = f"gradient_penalty on {points} needs generated samples, .* allowed: points: real or perturbed_real"
    with pytest.raises(ValueError, match=expected):
        GradientPenalty(points=points).penalty(linear([1.0]), Batch(draw(3, 1), None), rng())


@pytest.mark.parametrize("points", ["real", "perturbed_real"])
def test_real_points_need_no_generated_samples(points: str) -> None:
    penalty = GradientPenalty(points=points).penalty(linear([3.0]), Batch(draw(3, 1), None), rng())
    assert penalty.item() == pytest.approx(40)


def test_the_defaults_are_those_of_the_paper() -> None:
    default = GradientPenalty()
    assert (default.weight, default.one_sided, default.points, default.noise) == (10, False, "interpolates", 0.5)
    assert default.changed() == {}
    assert GradientPenalty.double_backward


def test_unknown_points_are_an_error() -> None:
    with pytest.raises(ValidationError, match="points"):
        GradientPenalty(points="fake")


def test_batch_normalization_is_refused() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    with pytest.raises(Refusal, match=r"gradient of each sample, but batch normalization in '1' makes it depend on"):
        constrain(net, [GradientPenalty()], (2,))
    net[1] = nn.LayerNorm(3)
    constrain(net, [GradientPenalty()], (2,))
