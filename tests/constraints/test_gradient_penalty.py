"""Gradient penalty: closed values, the ways in which it is often got wrong, and its gradient by finite differences."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor, nn

from lipschitz.constraints.base import Batch, Constraint, Refusal, constrain
from lipschitz.constraints.gradient_penalty import GradientPenalty, interpolate
from lipschitz.constraints.spectral_normalization import SpectralNormalization


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=rng(seed), dtype=torch.float64)


def linear(weight: list[float]) -> nn.Module:
    layer = nn.Linear(len(weight), 1).double()
    layer.weight.data = torch.tensor([weight], dtype=torch.float64)
    return layer


class HalfSquare(nn.Module):
    """D(x) = |x|²/2, whose gradient is x: other in every sample."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1).square().sum(dim=1, keepdim=True) / 2


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
def test_a_linear_discriminator_has_a_known_penalty(weight: list[float], one_sided: bool, expected: float) -> None:
    batch = Batch(draw(7, 2), draw(7, 2, seed=1))
    penalty = GradientPenalty(one_sided=one_sided).penalty(linear(weight), batch, rng())
    assert penalty.item() == pytest.approx(expected, abs=1e-12)


def test_weight_is_lambda() -> None:
    batch = Batch(draw(7, 2), draw(7, 2, seed=1))
    assert GradientPenalty(weight=0.5).penalty(linear([3.0, 4.0]), batch, rng()).item() == pytest.approx(8.0)


def test_the_norm_is_per_sample_over_all_other_axes() -> None:
    x = draw(5, 3, 4, 4)
    norms = np.array([math.sqrt((sample**2).sum()) for sample in x.numpy()])
    # Real and generated samples are the same, so the interpolates are known: the gradient there is the sample itself.
    penalty = GradientPenalty(weight=1.0).penalty(HalfSquare(), Batch(x, x.clone()), rng())
    assert penalty.item() == pytest.approx(((norms - 1) ** 2).mean(), rel=1e-12)
    one_sided = GradientPenalty(weight=1.0, one_sided=True).penalty(HalfSquare(), Batch(x / 8, x / 8), rng())
    assert one_sided.item() == pytest.approx((np.maximum(norms / 8 - 1, 0) ** 2).mean(), rel=1e-12)


@pytest.mark.parametrize("shape", [(2,), (3, 4, 4)])
def test_there_is_one_epsilon_a_sample_and_it_weighs_the_real_one(shape: tuple[int, ...]) -> None:
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


def test_where_the_discriminator_is_constant_the_gradient_is_zero_not_nan() -> None:
    net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1)).double()
    nn.init.constant_(net[0].bias, -1e6)
    penalty = GradientPenalty().penalty(net, Batch(draw(3, 2), draw(3, 2, seed=1)), rng())
    assert penalty.item() == pytest.approx(10)
    penalty.backward()
    for parameter in net.parameters():
        assert parameter.grad is None or torch.equal(parameter.grad, torch.zeros_like(parameter))
    assert net[0].weight.grad is not None


def finite_differences(value: Callable[[], Tensor], parameter: Tensor, step: float = 1e-5) -> np.ndarray:
    flat, gradient = parameter.detach().view(-1), np.zeros(parameter.numel())
    for i in range(len(flat)):
        kept = flat[i].item()
        ends = []
        for sign in (1, -1):
            flat[i] = kept + sign * step
            ends.append(value().item())
        flat[i] = kept
        gradient[i] = (ends[0] - ends[1]) / (2 * step)
    return gradient.reshape(parameter.shape)


def smooth_net() -> nn.Module:
    torch.manual_seed(0)
    conv = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Tanh(), nn.ConvTranspose2d(2, 2, 2, 2), nn.Tanh())
    return nn.Sequential(conv, nn.Flatten(), nn.Linear(2 * 6 * 6, 1)).double()


@pytest.mark.parametrize("others", [(), (SpectralNormalization(),)], ids=["bare", "normalised"])
def test_the_parameters_gradient_equals_finite_differences(others: tuple[Constraint, ...]) -> None:
    net = constrain(smooth_net(), others, (1, 3, 3))
    with torch.no_grad():
        # Off the singular vectors of the weights, where σ = uᵀWv is not stationary in u and v.
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=rng(3), dtype=torch.float64))
    batch = Batch(draw(3, 1, 3, 3), draw(3, 1, 3, 3, seed=1))

    def penalty() -> Tensor:
        return GradientPenalty().penalty(net, batch, rng())

    penalty().backward()
    checked = 0
    for name, parameter in net.named_parameters():
        if parameter.grad is None:
            assert name.endswith("bias"), "only the last bias leaves the input's gradient alone"
            continue
        expected = finite_differences(penalty, parameter)
        assert_allclose(parameter.grad.numpy(), expected, rtol=1e-6, atol=1e-7, err_msg=name)
        checked += 1
    assert checked >= 5


def test_the_discriminators_parameters_are_not_given_gradients_by_the_first_backward() -> None:
    net = linear([3.0, 4.0])
    GradientPenalty().penalty(net, Batch(draw(3, 2), draw(3, 2)), rng())
    assert all(parameter.grad is None for parameter in net.parameters())


def test_a_task_without_generated_samples_is_told_so() -> None:
    with pytest.raises(ValueError, match="interpolates between real and generated samples"):
        GradientPenalty().penalty(linear([1.0]), Batch(draw(3, 1), None), rng())


def test_the_papers_weight() -> None:
    assert GradientPenalty().weight == 10
    assert not GradientPenalty().one_sided
    assert GradientPenalty.double_backward


def test_batch_normalisation_is_refused_with_the_reason() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    with pytest.raises(Refusal, match=r"gradient of each sample, which batch normalisation in '1' makes depend on"):
        constrain(net, [GradientPenalty()], (2,))
    net[1] = nn.LayerNorm(3)
    constrain(net, [GradientPenalty()], (2,))
