"""Spectral projection against NumPy's SVD: feasible, idempotent, and outside the autograd graph."""

from collections import OrderedDict
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pydantic import ValidationError
from torch import Tensor, nn

from lipschitz.constraints.base import Refusal, constrain
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.constraints.spectral_projection import SpectralProjection
from lipschitz.estimation.layers import WeightedLayer, raw_weight, weighted_layers

SHAPE = (2, 4, 4)
MODES: tuple[Literal["normalise", "clip"], ...] = ("normalise", "clip")


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def net(dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(2, 3, 3),
            norm=nn.BatchNorm2d(3),
            deconv=nn.ConvTranspose2d(3, 4, 2),
            flatten=nn.Flatten(),
            output=nn.Linear(4 * 9, 2),
        )
    ).to(dtype)


def scale(net: nn.Module, *factors: float) -> None:
    """Multiply the weights so that σ of each is the given factor."""
    with torch.no_grad():
        for (_, layer), factor in zip(weighted_layers(net), factors, strict=True):
            raw_weight(layer).mul_(factor / sigma(layer))


def sigma(layer: WeightedLayer) -> float:
    array = raw_weight(layer).detach().double().numpy()
    if isinstance(layer, nn.ConvTranspose2d):
        array = array.transpose(1, 0, 2, 3)
    return float(np.linalg.norm(array.reshape(len(array), -1), 2))


def sigmas(net: nn.Module) -> list[float]:
    return [sigma(layer) for _, layer in weighted_layers(net)]


def weights(net: nn.Module) -> list[Tensor]:
    return [raw_weight(layer).detach().clone() for _, layer in weighted_layers(net)]


@pytest.mark.parametrize(("mode", "expected"), [("normalise", [0.5, 0.5, 0.5]), ("clip", [0.5, 0.1, 0.5])], ids=MODES)
def test_after_convergence_sigma_is_set_or_clipped_to_c(
    mode: Literal["normalise", "clip"], expected: list[float]
) -> None:
    ours = net()
    constraint = SpectralProjection(mode=mode, c=0.5)
    constraint.wrap(ours, SHAPE)
    scale(ours, 3.0, 0.1, 0.7)
    before = weights(ours)
    constraint.project(ours)
    assert_allclose(sigmas(ours), expected, rtol=1e-12)
    for weight, old, ratio in zip(weights(ours), before, [0.5 / 3, expected[1] / 0.1, 0.5 / 0.7], strict=True):
        assert_allclose(weight, ratio * old, rtol=1e-12)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_projection_is_idempotent(mode: Literal["normalise", "clip"], dtype: torch.dtype) -> None:
    ours = net(dtype)
    constraint = SpectralProjection(mode=mode, norm_layers=True)
    constraint.wrap(ours, SHAPE)
    scale(ours, 3.0, 0.1, 0.7)
    constraint.project(ours)
    once = weights(ours)
    constraint.project(ours)
    for weight, other in zip(weights(ours), once, strict=True):
        assert_allclose(weight, other, rtol=1e-6)


def test_clipping_keeps_a_weight_inside_the_ball_bit_identical() -> None:
    ours = net()
    constraint = SpectralProjection(mode="clip")
    constraint.wrap(ours, SHAPE)
    scale(ours, 0.9, 0.5, 0.01)
    before = weights(ours)
    constraint.project(ours)
    assert all(map(torch.equal, weights(ours), before))


@pytest.mark.parametrize("mode", MODES)
def test_sigma_is_underestimated_until_power_iteration_converges(mode: Literal["normalise", "clip"]) -> None:
    ours = net()
    constraint = SpectralProjection(mode=mode)
    constraint.wrap(ours, SHAPE)
    with torch.no_grad():
        for weight in (raw_weight(layer) for _, layer in weighted_layers(ours)):
            weight.copy_(draw(*weight.shape, seed=3))
    constraint.project(ours)
    assert min(sigmas(ours)) >= 1 - 1e-12
    assert max(sigmas(ours)) > 1.01
    SpectralProjection(mode=mode, power_iterations=500).project(ours)
    assert_allclose(sigmas(ours), 1, rtol=1e-6)


def test_one_step_of_power_iteration_and_a_projection_by_hand() -> None:
    layer = nn.Linear(2, 2, bias=False).double()
    layer.weight.data = torch.diag(torch.tensor([2.0, 1.0], dtype=torch.float64))
    constraint = SpectralProjection()
    constraint.wrap(layer, (2,))
    layer.projection_u.copy_(torch.tensor([0.6, 0.8], dtype=torch.float64))
    constraint.project(layer)
    # Wᵀu = (1.2, 0.8), and ‖W (1.2, 0.8)‖ / ‖(1.2, 0.8)‖ = √(6.4 / 2.08).
    assert_allclose(layer.weight.detach(), np.diag([2.0, 1.0]) / np.sqrt(6.4 / 2.08), rtol=1e-12)
    assert_allclose(layer.projection_u, np.array([2.4, 0.8]) / np.sqrt(6.4), rtol=1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_gamma_is_projected_only_with_norm_layers(mode: Literal["normalise", "clip"]) -> None:
    # γ / √(Var + ε) is (1, -3, 0.5) with σ = 3 in the first layer, and 0.25 in the second, below c.
    for asked in (False, True):
        ours = nn.Sequential(nn.Linear(1, 3), nn.BatchNorm1d(3, eps=0.0), nn.BatchNorm1d(1, eps=0.0)).double()
        for norm, gamma in ((ours[1], [2.0, -3.0, 2.5]), (ours[2], [0.25])):
            norm.weight.data = torch.tensor(gamma, dtype=torch.float64)
        ours[1].running_var.copy_(torch.tensor([4.0, 1.0, 25.0]))
        constraint = SpectralProjection(mode=mode, c=1.5, norm_layers=asked)
        constrain(ours, [constraint], (1,)) if asked else constraint.wrap(ours, (1,))
        constraint.project(ours)
        assert_allclose(ours[1].weight.detach(), np.array([2.0, -3.0, 2.5]) * (0.5 if asked else 1.0))
        assert ours[2].weight.item() == pytest.approx(1.5 if asked and mode == "normalise" else 0.25)


def test_missing_gamma_is_refused_only_with_norm_layers() -> None:
    for asked in (False, True):
        ours = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, affine=False))
        if not asked:
            constrain(ours, [SpectralProjection()], (2,))
            continue
        with pytest.raises(
            Refusal, match="spectral_projection scales γ of batch normalization, but '1' has no trained γ"
        ):
            constrain(ours, [SpectralProjection(norm_layers=True)], (2,))


def test_the_gradient_is_orthogonal_to_the_weight_only_with_spectral_normalization() -> None:
    along = []
    for constraint in (SpectralProjection(), SpectralNormalization()):
        ours = constraint.wrap(net().eval(), SHAPE)
        scale(ours, 1.0, 1.0, 1.0)
        ours(draw(3, *SHAPE)).square().sum().backward()
        raw = raw_weight(ours.output)
        along.append(abs((raw.grad * raw).sum().item()))
    assert along[0] > 0.1
    assert along[1] < 1e-12


def test_the_raw_weight_of_a_reparametrised_layer_is_divided() -> None:
    ours = SpectralNormalization(coefficient=3.0).wrap(net(), SHAPE)
    constraint = SpectralProjection(mode="clip")
    constraint.wrap(ours, SHAPE)
    scale(ours, 4.0, 0.5, 2.0)
    constraint.project(ours)
    assert_allclose(sigmas(ours), [1, 0.5, 1], rtol=1e-12)
    assert np.linalg.norm(ours.output.weight.detach().numpy(), 2) == pytest.approx(3)


def test_default_and_invalid_values() -> None:
    default = SpectralProjection()
    assert (default.mode, default.c, default.power_iterations, default.norm_layers) == ("normalise", 1.0, 1, False)
    for field, value in {"mode": "shrink", "c": 0.0, "power_iterations": 0}.items():
        with pytest.raises(ValidationError, match=field):
            SpectralProjection(**{field: value})
