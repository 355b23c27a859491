"""The budget: the product of spectral norms, its equal start, what training moves, and shared weights."""

import numpy as np
import torch
from numpy.testing import assert_allclose
from torch import nn

from lipschitz.constraints.base import constrain
from lipschitz.constraints.spectral_budget import SpectralBudget
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.estimation.layers import as_matrix, is_transposed, raw_weight, weighted_layers

SHAPE = (2, 4, 4)


def net() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 3, 3), nn.ReLU(), nn.ConvTranspose2d(3, 4, 2), nn.Flatten(), nn.Linear(36, 5)]
    return nn.Sequential(*layers).double()


def norms(net: nn.Module) -> list[float]:
    return [
        np.linalg.norm(as_matrix(layer.weight.detach(), is_transposed(layer)).numpy(), 2)
        for _, layer in weighted_layers(net)
    ]


def test_the_budget_starts_in_equal_parts() -> None:
    assert_allclose(norms(constrain(net(), [SpectralBudget(budget=8.0)], SHAPE)), [2.0] * 3)
    x = torch.randn(3, *SHAPE, dtype=torch.float64)
    plain = constrain(net(), [SpectralNormalization()], SHAPE)
    assert_allclose(constrain(net(), [SpectralBudget()], SHAPE)(x).detach(), plain(x).detach())


def test_training_splits_the_budget_and_keeps_the_product() -> None:
    method = SpectralBudget(budget=8.0, power_iterations=100)
    ours = constrain(net(), [method], SHAPE)
    (split,) = [parameter for name, parameter in ours.named_parameters() if "split" in name]
    assert split.shape == (3,)
    optimiser = torch.optim.SGD(ours.parameters(), lr=0.05)
    for seed in range(3):
        torch.manual_seed(seed)
        ours(torch.randn(4, *SHAPE, dtype=torch.float64)).square().mean().neg().backward()
        optimiser.step()
        method.update(ours)
    found = norms(ours)
    assert_allclose(np.prod(found), 8.0, rtol=1e-6)
    assert max(found) - min(found) > 1e-3


def test_a_shared_weight_counts_for_each_of_its_layers() -> None:
    first, second, last = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2)
    second.weight = first.weight
    ours = constrain(nn.Sequential(first, second, last).double(), [SpectralBudget(budget=5.0)], (3,))
    (split,) = [parameter for name, parameter in ours.named_parameters() if "split" in name]
    assert split.shape == (2,)
    with torch.no_grad():
        split.copy_(torch.tensor([0.7, -0.2]))
    found = norms(ours)
    assert_allclose(found[0], found[1])
    assert_allclose(np.prod(found), 5.0)
    assert_allclose(found[0] / found[2], np.exp(0.9))
    assert raw_weight(first) is raw_weight(second)
