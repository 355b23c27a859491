"""Training with spectral normalization against a plain autograd implementation of Algorithm 1, in float64."""

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.estimation.layers import raw_weight, weighted_layers

Net = Callable[[Tensor], Tensor]
LR = 0.3


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def unit(vector: Tensor) -> Tensor:
    return vector / vector.norm()


def squares(net: Net) -> Tensor:
    return net(draw(4, 2, 4, 4)).square().mean()


def gradient_penalty(net: Net) -> Tensor:
    points = draw(4, 2, 4, 4, seed=1).requires_grad_()
    (gradients,) = torch.autograd.grad(net(points).sum(), points, create_graph=True)
    return squares(net) + 10 * (gradients.flatten(1).norm(dim=1) - 1).square().mean()


def algorithm_1(weights: list[Tensor], us: list[Tensor], biases: list[Tensor], loss: Callable[[Net], Tensor]) -> float:
    """Run one iteration in place, by autograd through W / (uᵀWv) with constant u and v; return the loss."""
    bars = []
    for i, weight in enumerate(weights):
        matrix = weight.detach().flatten(1)
        v = unit(matrix.T @ us[i])
        us[i] = unit(matrix @ v)
        bars.append(weight / (us[i] @ weight.flatten(1) @ v))

    def net(x: Tensor) -> Tensor:
        return F.linear(torch.tanh(F.conv2d(x, bars[0], biases[0])).flatten(1), bars[1], biases[1])

    value = loss(net)
    gradients = torch.autograd.grad(value, weights)
    with torch.no_grad():
        for weight, gradient in zip(weights, gradients, strict=True):
            weight -= LR * gradient
    return value.item()


@pytest.mark.parametrize("loss", [squares, gradient_penalty])
def test_training_matches_a_plain_implementation_of_algorithm_1(loss: Callable[[Net], Tensor]) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        OrderedDict(conv=nn.Conv2d(2, 3, 3), act=nn.Tanh(), flatten=nn.Flatten(), output=nn.Linear(12, 1))
    ).double()
    weights = [layer.weight.detach().clone().requires_grad_() for _, layer in weighted_layers(net)]
    biases = [layer.bias.detach().clone() for _, layer in weighted_layers(net)]
    svds = [np.linalg.svd(weight.detach().flatten(1).numpy(), full_matrices=False) for weight in weights]
    us = [torch.from_numpy(u[:, 0].copy()) for u, _, _ in svds]

    constraint = SpectralNormalization()
    constraint.wrap(net, (2, 4, 4))
    raw = [raw_weight(layer) for _, layer in weighted_layers(net)]
    optimiser = torch.optim.SGD(raw, lr=LR)
    start = [weight.detach().clone() for weight in raw]
    for _ in range(6):
        expected = algorithm_1(weights, us, biases, loss)
        constraint.update(net)
        with parametrize.cached():
            value = loss(net)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        assert value.item() == pytest.approx(expected, rel=1e-10)
        for ours, theirs in zip(raw, weights, strict=True):
            assert_allclose(ours.detach(), theirs.detach(), rtol=1e-10, atol=1e-10)
    assert all((weight - old).norm() > 0.1 * old.norm() for weight, old in zip(raw, start, strict=True))
