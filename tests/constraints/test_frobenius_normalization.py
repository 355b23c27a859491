"""Frobenius normalization: values by hand, closed-form gradient, finite differences, and combinations."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pydantic import ValidationError
from torch import Tensor, nn

from lipschitz.constraints.base import Batch, constrain
from lipschitz.constraints.frobenius_normalization import FrobeniusNormalization, UnitFrobenius
from lipschitz.constraints.gradient_penalty import GradientPenalty
from lipschitz.estimation.layers import raw_weight, reshaped_weight, weighted_layers


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(2, 3, 3),
            act=nn.Tanh(),
            deconv=nn.ConvTranspose2d(3, 4, 2),
            flatten=nn.Flatten(),
            output=nn.Linear(36, 1),
        )
    ).double()


def test_a_matrix_by_hand() -> None:
    layer = nn.Linear(2, 2).double()
    layer.weight.data = torch.tensor([[3.0, 0.0], [0.0, 4.0]], dtype=torch.float64)
    FrobeniusNormalization(c=2.0).wrap(layer, (2,))
    assert_allclose(layer.weight.detach(), [[1.2, 0], [0, 1.6]], rtol=1e-15)
    assert_allclose(raw_weight(layer).detach(), [[3, 0], [0, 4]], rtol=0)


@pytest.mark.parametrize("c", [1.0, 2.5])
def test_the_squared_singular_values_of_every_layer_sum_to_c_squared(c: float) -> None:
    ours = FrobeniusNormalization(c=c).wrap(net(), (2, 4, 4))
    for name, layer in weighted_layers(ours):
        sigmas = np.linalg.svd(reshaped_weight(layer).detach().numpy(), compute_uv=False)
        assert (sigmas**2).sum() == pytest.approx(c**2, rel=1e-12), name
        raw = raw_weight(layer).detach()
        assert_allclose(layer.weight.detach(), c * raw / np.sqrt((raw.numpy() ** 2).sum()), rtol=1e-12)


@pytest.mark.parametrize("c", [1.0, 2.5])
def test_the_gradient_matches_the_closed_form(c: float) -> None:
    weight, gradient = draw(3, 2, 2, 2).requires_grad_(), draw(3, 2, 2, 2, seed=1)
    (ours,) = torch.autograd.grad(UnitFrobenius(c)(weight), weight, gradient)
    w, g = weight.detach().numpy(), gradient.numpy()
    norm = np.sqrt((w**2).sum())
    bar = c * w / norm
    assert_allclose(ours, (c * g - (g * bar).sum() * bar / c) / norm, rtol=1e-12, atol=1e-15)
    # The map is homogeneous of degree 0, so the gradient is orthogonal to the weight (Euler).
    assert (ours * weight.detach()).sum().item() == pytest.approx(0, abs=1e-14)


def test_gradcheck_and_gradgradcheck() -> None:
    weight = draw(3, 4).requires_grad_()
    assert torch.autograd.gradcheck(UnitFrobenius(2.0), (weight,))
    assert torch.autograd.gradgradcheck(UnitFrobenius(2.0), (weight,))


def test_it_works_with_a_gradient_penalty() -> None:
    constraints = [FrobeniusNormalization(), GradientPenalty()]
    ours = constrain(net(), constraints, (2, 4, 4))
    batch = Batch(draw(5, 2, 4, 4), draw(5, 2, 4, 4, seed=1))
    constraints[1].penalty(ours, batch, torch.Generator().manual_seed(0)).backward()
    for _, layer in weighted_layers(ours):
        gradient = raw_weight(layer).grad
        assert torch.isfinite(gradient).all()
        assert gradient.norm() > 0


def test_wrapping_works_on_the_meta_device() -> None:
    with torch.device("meta"):
        ours = FrobeniusNormalization().wrap(nn.Conv2d(2, 3, 3), (2, 4, 4))
    assert ours(torch.empty(1, 2, 4, 4, device="meta")).shape == (1, 3, 2, 2)


def test_default_and_invalid_values_of_c() -> None:
    assert FrobeniusNormalization().c == 1
    for c in (0.0, -1.0, float("inf")):
        with pytest.raises(ValidationError):
            FrobeniusNormalization(c=c)
