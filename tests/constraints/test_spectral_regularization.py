"""Spectral norm regularization against NumPy's SVD in float64."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from lipschitz.constraints.base import Batch
from lipschitz.constraints.spectral_regularization import SpectralRegularization
from lipschitz.estimation.layers import WeightedLayer, weighted_layers

BATCH = Batch(torch.zeros(1, 2, dtype=torch.float64), None)
NO_DRAWS = torch.Generator()


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        OrderedDict(conv=nn.Conv2d(2, 3, 3), deconv=nn.ConvTranspose2d(3, 4, 2), linear=nn.Linear(5, 6))
    ).double()


def matrix(layer: WeightedLayer) -> np.ndarray:
    weight = layer.weight.detach().numpy()
    if isinstance(layer, nn.ConvTranspose2d):
        weight = weight.transpose(1, 0, 2, 3)
    return weight.reshape(len(weight), -1)


def leading(layer: WeightedLayer) -> tuple[np.ndarray, float, np.ndarray]:
    u, s, vh = np.linalg.svd(matrix(layer), full_matrices=False)
    return u[:, 0], s[0], vh[0]


def kept(layer: WeightedLayer) -> tuple[np.ndarray, np.ndarray]:
    return layer.get_buffer("regularization_u").numpy(), layer.get_buffer("regularization_v").numpy()


def move(net: nn.Module, scale: float = 0.3) -> None:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))


def test_the_penalty_is_half_lambda_times_the_sum_of_squared_sigmas() -> None:
    constraint = SpectralRegularization(weight=0.25)
    ours = constraint.wrap(net(), (2, 4, 4))
    expected = 0.25 / 2 * sum(leading(layer)[1] ** 2 for _, layer in weighted_layers(ours))
    assert constraint.penalty(ours, BATCH, NO_DRAWS).item() == pytest.approx(expected, rel=1e-12)


def test_a_diagonal_matrix_by_hand() -> None:
    layer = nn.Linear(2, 2).double()
    layer.weight.data = torch.diag(torch.tensor([1.0, -3.0], dtype=torch.float64))
    constraint = SpectralRegularization(weight=2.0)
    penalty = constraint.penalty(constraint.wrap(layer, (2,)), BATCH, NO_DRAWS)
    assert penalty.item() == pytest.approx(9)
    penalty.backward()
    assert_allclose(layer.weight.grad, [[0, 0], [0, -6]], atol=1e-12)
    assert layer.bias.grad is None


def test_the_gradient_is_lambda_sigma_u_v() -> None:
    constraint = SpectralRegularization(weight=0.25)
    ours = constraint.wrap(net(), (2, 4, 4))
    constraint.penalty(ours, BATCH, NO_DRAWS).backward()
    for name, layer in weighted_layers(ours):
        u, sigma, v = leading(layer)
        gradient = layer.weight.grad.numpy()
        if isinstance(layer, nn.ConvTranspose2d):
            gradient = gradient.transpose(1, 0, 2, 3)
        expected = (0.25 * sigma * np.outer(u, v)).reshape(gradient.shape)
        assert_allclose(gradient, expected, atol=1e-12, err_msg=name)


def test_only_update_advances_the_vectors_by_one_step() -> None:
    constraint = SpectralRegularization()
    ours = constraint.wrap(net(), (2, 4, 4))
    move(ours)
    before = {name: [vector.copy() for vector in kept(layer)] for name, layer in weighted_layers(ours)}
    constraint.penalty(ours, BATCH, NO_DRAWS).backward()
    constraint.project(ours)
    for name, layer in weighted_layers(ours):
        for vector, old in zip(kept(layer), before[name], strict=True):
            assert_allclose(vector, old, rtol=0)
    constraint.update(ours)
    for name, layer in weighted_layers(ours):
        v = matrix(layer).T @ before[name][0]
        v /= np.linalg.norm(v)
        u = matrix(layer) @ v
        u /= np.linalg.norm(u)
        assert_allclose(kept(layer)[0], u, atol=1e-12)
        assert_allclose(kept(layer)[1], v, atol=1e-12)
        assert np.abs(u - before[name][0]).max() > 1e-3


def test_power_iterations_equal_as_many_updates() -> None:
    ours, theirs = SpectralRegularization().wrap(net(), (2, 4, 4)), SpectralRegularization().wrap(net(), (2, 4, 4))
    move(ours)
    move(theirs)
    for _ in range(3):
        SpectralRegularization().update(ours)
    SpectralRegularization(power_iterations=3).update(theirs)
    for (_, one), (_, other) in zip(weighted_layers(ours), weighted_layers(theirs), strict=True):
        assert_allclose(kept(one)[0], kept(other)[0], rtol=0)


def test_updates_converge_to_the_singular_vectors_of_changed_weights() -> None:
    constraint = SpectralRegularization(power_iterations=500)
    ours = constraint.wrap(net(), (2, 4, 4))
    move(ours)
    constraint.update(ours)
    for _, layer in weighted_layers(ours):
        u, sigma, v = leading(layer)
        ours_u, ours_v = kept(layer)
        assert_allclose(np.outer(ours_u, ours_v), np.outer(u, v), atol=1e-6)
        assert ours_u @ matrix(layer) @ ours_v == pytest.approx(sigma, rel=1e-10)


def test_the_defaults_are_those_of_the_paper() -> None:
    assert SpectralRegularization().weight == 0.01
    assert SpectralRegularization().power_iterations == 1
