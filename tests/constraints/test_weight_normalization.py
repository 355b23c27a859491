"""Weight normalization: values by hand, parity with torch's weight_norm, and combinations."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from lipschitz.constraints.base import Batch, constrain
from lipschitz.constraints.gradient_penalty import GradientPenalty
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.constraints.weight_normalization import NormalizedUnits, WeightNormalization
from lipschitz.estimation.layers import WeightedLayer, raw_weight, reshaped_weight, weighted_layers

SHAPE = (2, 4, 4)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(2, 4, 3, groups=2),
            act=nn.Tanh(),
            deconv=nn.ConvTranspose2d(4, 6, 2),
            flatten=nn.Flatten(),
            hidden=nn.Linear(54, 3),
            output=nn.Linear(3, 1),
        )
    ).double()


def unit_norms(layer: WeightedLayer) -> np.ndarray:
    """Return the norm of the effective weights of every output unit, ``(d_out,)``."""
    return np.sqrt((reshaped_weight(layer).detach().numpy() ** 2).sum(axis=1))


def test_a_matrix_by_hand() -> None:
    layer = nn.Linear(2, 2).double()
    layer.weight.data = torch.tensor([[3.0, 4.0], [0.0, -2.0]], dtype=torch.float64)
    WeightNormalization().wrap(layer, (2,))
    assert_allclose(layer.weight.detach(), [[0.6, 0.8], [0, -1]], rtol=1e-15)
    assert_allclose(raw_weight(layer).detach(), [[3, 4], [0, -2]], rtol=0)


def test_output_units_have_norm_one_and_squared_sigmas_sum_to_the_number_of_units() -> None:
    ours = WeightNormalization().wrap(net(), SHAPE)
    for name, layer in weighted_layers(ours):
        assert_allclose(unit_norms(layer), 1, rtol=1e-12, err_msg=name)
        sigmas = np.linalg.svd(reshaped_weight(layer).detach().numpy(), compute_uv=False)
        units = len(reshaped_weight(layer))
        assert (sigmas**2).sum() == pytest.approx(units, rel=1e-12), name
        assert 1 - 1e-12 <= sigmas[0] <= np.sqrt(units) + 1e-12
        assert [key for key, _ in layer.named_parameters()] == ["bias", "parametrizations.weight.original"]


def test_a_trained_gain_keeps_the_initial_function() -> None:
    bare, ours = net(), WeightNormalization(gain=True).wrap(net(), SHAPE)
    for (name, one), (_, other) in zip(weighted_layers(ours), weighted_layers(bare), strict=True):
        assert torch.equal(raw_weight(one), other.weight), name
        assert torch.equal(one.weight, other.weight), name
        gain = one.parametrizations["weight"][0].gain
        assert_allclose(gain.detach().flatten(), unit_norms(other), rtol=1e-15, err_msg=name)


def test_a_trained_gain_is_a_parameter_and_sets_the_norm_of_its_unit() -> None:
    ours = WeightNormalization(gain=True).wrap(net(), SHAPE)
    gain = dict(ours.named_parameters())["deconv.parametrizations.weight.0.gain"]
    with torch.no_grad():
        gain.copy_(torch.arange(1.0, 7.0).view_as(gain))
    assert_allclose(unit_norms(ours.deconv), np.arange(1.0, 7.0), rtol=1e-12)
    before = gain.detach().clone()
    optimiser = torch.optim.SGD(ours.parameters(), lr=0.1)
    ours(draw(5, *SHAPE)).square().mean().backward()
    optimiser.step()
    assert (gain != before).all()


@pytest.mark.parametrize(
    ("layer", "axis"),
    [
        (nn.Linear(5, 3), 0),
        (nn.Conv1d(2, 3, 3), 0),
        (nn.Conv2d(4, 6, 3, groups=2), 0),
        (nn.ConvTranspose2d(3, 4, 2), 1),
    ],
    ids=["linear", "conv1d", "grouped conv2d", "conv_transpose2d"],
)
def test_values_and_gradients_match_torchs_weight_norm(layer: WeightedLayer, axis: int) -> None:
    layer = layer.double()
    weight, gradient = draw(*layer.weight.shape), draw(*layer.weight.shape, seed=1)
    layer.weight.data = weight.clone()
    ours = NormalizedUnits(layer, gain=True)
    raw = weight.clone().requires_grad_()
    theirs = parametrizations.weight_norm(layer, dim=axis)
    magnitude, direction = theirs.parametrizations["weight"].original0, theirs.parametrizations["weight"].original1
    with torch.no_grad():
        magnitude.mul_(1.7)
        ours.gain.mul_(1.7)
    assert_allclose(ours(raw).detach(), theirs.weight.detach(), rtol=1e-12)
    by_raw, by_gain = torch.autograd.grad(ours(raw), (raw, ours.gain), gradient)
    by_direction, by_magnitude = torch.autograd.grad(theirs.weight, (direction, magnitude), gradient)
    assert_allclose(by_raw, by_direction, rtol=1e-10, atol=1e-14)
    assert_allclose(by_gain.flatten(), by_magnitude.flatten(), rtol=1e-12)


def test_a_grouped_transposed_convolution_is_normalised_unit_by_unit() -> None:
    deconv = nn.ConvTranspose2d(4, 6, 2, groups=2).double()
    deconv.weight.data = draw(4, 3, 2, 2)
    ours = WeightNormalization().wrap(deconv, (4, 3, 3))
    # Output channel 3 g + j depends on the two input channels of group g only.
    for group in range(2):
        kernels = ours.weight.detach().numpy()[2 * group : 2 * group + 2]
        assert_allclose((kernels**2).sum(axis=(0, 2, 3)), 1, rtol=1e-12)


@pytest.mark.parametrize("gain", [False, True])
@pytest.mark.parametrize("layer", [nn.Linear(3, 2), nn.ConvTranspose2d(2, 2, 2)], ids=["linear", "conv_transpose2d"])
def test_gradcheck_and_gradgradcheck(layer: WeightedLayer, gain: bool) -> None:
    ours = NormalizedUnits(layer.double(), gain)
    weight = draw(*layer.weight.shape).requires_grad_()
    assert torch.autograd.gradcheck(ours, (weight,))
    assert torch.autograd.gradgradcheck(ours, (weight,))


@pytest.mark.parametrize("gain", [False, True])
def test_it_works_with_a_gradient_penalty(gain: bool) -> None:
    constraints = [WeightNormalization(gain=gain), GradientPenalty()]
    ours = constrain(net(), constraints, SHAPE)
    batch = Batch(draw(5, *SHAPE), draw(5, *SHAPE, seed=1))
    constraints[1].penalty(ours, batch, torch.Generator().manual_seed(0)).backward()
    for _, layer in weighted_layers(ours):
        gradient = raw_weight(layer).grad
        assert torch.isfinite(gradient).all()
        assert gradient.norm() > 0


def test_a_later_spectral_normalization_sets_sigma_to_one() -> None:
    spectral = SpectralNormalization(power_iterations=500)
    ours = spectral.wrap(WeightNormalization().wrap(net(), SHAPE), SHAPE)
    with torch.no_grad():
        for seed, (_, layer) in enumerate(weighted_layers(ours)):
            raw_weight(layer).add_(0.3 * draw(*layer.weight.shape, seed=seed))
        spectral.update(ours)
    for name, layer in weighted_layers(ours):
        sigma = np.linalg.norm(reshaped_weight(layer).detach().numpy(), 2)
        assert sigma == pytest.approx(1, rel=1e-9), name


def test_a_trained_gain_starts_from_the_norms_after_an_earlier_reparametrisation() -> None:
    normalized = constrain(net(), [SpectralNormalization()], SHAPE)
    both = WeightNormalization(gain=True).wrap(SpectralNormalization().wrap(net(), SHAPE), SHAPE)
    for (name, one), (_, other) in zip(weighted_layers(both), weighted_layers(normalized), strict=True):
        assert torch.equal(one.weight, other.weight), name


@pytest.mark.parametrize("gain", [False, True])
def test_wrapping_works_on_the_meta_device(gain: bool) -> None:
    with torch.device("meta"):
        ours = WeightNormalization(gain=gain).wrap(net(), SHAPE)
    assert ours(torch.empty(3, *SHAPE, device="meta", dtype=torch.float64)).shape == (3, 1)
    assert all(parameter.is_meta for parameter in ours.parameters())


def test_the_gain_is_not_trained_by_default() -> None:
    assert WeightNormalization().gain is False
