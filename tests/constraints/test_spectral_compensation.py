"""SR-GAN's compensation: singular values by NumPy, the gradient of spectral normalization, zero weights."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pydantic import ValidationError
from torch import Tensor, nn

from lipschitz.constraints.base import constrain
from lipschitz.constraints.spectral_compensation import SpectralCompensation
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.estimation.layers import as_matrix, is_transposed, raw_weight, weighted_layers

SHAPE = (2, 4, 4)


def net() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 3, 3), nn.ReLU(), nn.ConvTranspose2d(3, 4, 2), nn.Flatten(), nn.Linear(36, 5)]
    return nn.Sequential(*layers).double()


def sigmas(net: nn.Module) -> list[np.ndarray]:
    matrices = [as_matrix(layer.weight.detach(), is_transposed(layer)).numpy() for _, layer in weighted_layers(net)]
    return [np.linalg.svd(matrix, compute_uv=False) for matrix in matrices]


@pytest.mark.parametrize(("share", "c"), [(0.5, 1.0), (0.4, 0.5), (1.0, 1.0), (0.01, 2.0)])
def test_the_leading_singular_values_are_lifted(share: float, c: float) -> None:
    bare = sigmas(net())
    method = SpectralCompensation(share=share, coefficient=c)
    ours = constrain(net(), [method], SHAPE)
    for found, before in zip(sigmas(ours), bare, strict=True):
        lifted = int(np.ceil(share * len(before)))
        expected = before / before[0]
        expected[:lifted] = 1
        assert_allclose(found, c * expected, rtol=1e-10)
    with torch.no_grad():
        for _, layer in weighted_layers(ours):
            raw_weight(layer).mul_(2).add_(0.1)
    before = [layer.weight.detach().clone() for _, layer in weighted_layers(ours)]
    method.update(ours)
    after = [layer.weight.detach() for _, layer in weighted_layers(ours)]
    assert not any(map(torch.equal, before, after))
    assert_allclose([found[0] for found in sigmas(ours)], c, rtol=1e-10)


def test_the_gradient_is_that_of_spectral_normalization() -> None:
    gradients: list[list[Tensor]] = []
    for method in (SpectralCompensation(), SpectralNormalization()):
        ours = constrain(net(), [method], SHAPE)
        weights = [layer.weight for _, layer in weighted_layers(ours)]
        sum((weight * torch.arange(weight.numel()).view_as(weight)).sum() for weight in weights).backward()
        gradients.append(
            [raw.grad for _, layer in weighted_layers(ours) if (raw := raw_weight(layer)).grad is not None]
        )
    assert len(gradients[0]) == 3
    for ours, theirs in zip(*gradients, strict=True):
        assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


def test_a_zero_weight_stays_zero() -> None:
    layer = nn.Linear(3, 2)
    nn.init.zeros_(layer.weight)
    ours = constrain(nn.Sequential(layer), [SpectralCompensation()], (3,))
    SpectralCompensation().update(ours)
    assert torch.equal(ours[0].weight, torch.zeros(2, 3))
    ours[0].weight.sum().backward()
    assert torch.equal(raw_weight(ours[0]).grad, torch.zeros(2, 3))


def test_invalid_values() -> None:
    for share in (0.0, 1.5):
        with pytest.raises(ValidationError):
            SpectralCompensation(share=share)
