"""Spectral normalization with the reshaped kernel against NumPy's SVD: wrap and update."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipschitz.constraints.base import Refusal, constrain
from lipschitz.constraints.normalized_weight import NormalizedWeight
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.estimation.layers import WeightedLayer, raw_weight, reparametrizations, weighted_layers

SHAPE = (2, 4, 4)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def unit(vector: Tensor) -> Tensor:
    return vector / vector.norm()


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(2, 3, 3),
            relu=nn.ReLU(),
            deconv=nn.ConvTranspose2d(3, 4, 2),
            flatten=nn.Flatten(),
            output=nn.Linear(4 * 9, 1),
        )
    ).double()


def move(net: nn.Module, scale: float = 0.3) -> None:
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(scale * draw(*parameter.shape, seed=5))


def as_numpy_matrix(layer: WeightedLayer, weight: Tensor) -> np.ndarray:
    array = weight.detach().double().numpy()
    if isinstance(layer, nn.ConvTranspose2d):
        array = array.transpose(1, 0, 2, 3)
    return array.reshape(len(array), -1)


def vectors(net: nn.Module) -> list[Tensor]:
    return [buffer.clone() for _, buffer in net.named_buffers()]


@pytest.mark.parametrize("c", [1.0, 0.25])
def test_every_layer_initially_has_spectral_norm_c(c: float) -> None:
    ours = SpectralNormalization(coefficient=c).wrap(net(), SHAPE)
    for name, layer in weighted_layers(ours):
        effective, raw = as_numpy_matrix(layer, layer.weight), as_numpy_matrix(layer, raw_weight(layer))
        assert np.linalg.norm(effective, 2) == pytest.approx(c, abs=1e-12), name
        assert_allclose(effective, c * raw / np.linalg.norm(raw, 2), atol=1e-14)


def test_biases_and_kernel_shapes_are_unchanged() -> None:
    ours, bare = SpectralNormalization().wrap(net(), SHAPE), net()
    for (_, one), (_, other) in zip(weighted_layers(ours), weighted_layers(bare), strict=True):
        assert one.weight.shape == other.weight.shape
        assert torch.equal(one.bias, other.bias)


@pytest.mark.parametrize("c", [1.0, 0.25])
def test_updates_bring_sigma_back_to_c(c: float) -> None:
    ours = SpectralNormalization(coefficient=c).wrap(net(), SHAPE)
    move(ours)
    sigmas = [np.linalg.norm(as_numpy_matrix(layer, layer.weight), 2) for _, layer in weighted_layers(ours)]
    assert max(sigmas) > 1.05 * c
    SpectralNormalization(coefficient=c, power_iterations=500).update(ours)
    for _, layer in weighted_layers(ours):
        effective, raw = as_numpy_matrix(layer, layer.weight), as_numpy_matrix(layer, raw_weight(layer))
        assert_allclose(effective, c * raw / np.linalg.norm(raw, 2), rtol=1e-9)


def test_power_iterations_equal_as_many_updates() -> None:
    ours, theirs = (SpectralNormalization().wrap(net(), SHAPE) for _ in range(2))
    for each in (ours, theirs):
        move(each)
    for _ in range(3):
        SpectralNormalization().update(ours)
    SpectralNormalization(power_iterations=3).update(theirs)
    assert len(vectors(ours)) == 6
    assert all(map(torch.equal, vectors(ours), vectors(theirs)))


def test_an_update_writes_in_place() -> None:
    ours = SpectralNormalization().wrap(net(), SHAPE)
    move(ours)
    addresses, before = [buffer.data_ptr() for buffer in ours.buffers()], vectors(ours)
    SpectralNormalization().update(ours)
    assert [buffer.data_ptr() for buffer in ours.buffers()] == addresses
    moved = [not torch.equal(*pair) for pair in zip(before, vectors(ours), strict=True)]
    # For a matrix with a single row, u = ±1 does not change.
    assert moved == [True, True, True, True, False, True]


def test_a_cached_weight_has_the_same_gradient() -> None:
    ours = SpectralNormalization().wrap(net(), SHAPE)
    x = draw(2, 2, 4, 4)
    ours(x).mean().backward()
    expected = [parameter.grad.clone() for parameter in ours.parameters() if parameter.grad is not None]
    ours.zero_grad()
    with parametrize.cached():
        loss = (ours(x).mean() + ours(x).mean()) / 2
    loss.backward()
    for parameter, gradient in zip(ours.parameters(), expected, strict=True):
        assert_allclose(parameter.grad, gradient, atol=1e-12)


class Columns(nn.Module):
    """Reparametrisation that scales the columns of a matrix by 1, 2, ..."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight * torch.arange(1.0, 1 + weight.shape[1], dtype=weight.dtype)


@pytest.mark.parametrize("place", [0, 1])
def test_power_iteration_uses_the_weight_that_the_normalization_receives(place: int) -> None:
    layer = nn.Linear(6, 4).double()
    steps = [lambda: parametrize.register_parametrization(layer, "weight", Columns())] * place
    steps += [lambda: SpectralNormalization().wrap(layer, (6,))]
    steps += [lambda: parametrize.register_parametrization(layer, "weight", Columns())] * (1 - place)
    for step in steps:
        step()
    module = layer.parametrizations["weight"][place]
    assert isinstance(module, NormalizedWeight)
    move(layer)
    raw = raw_weight(layer).detach()
    reaching = Columns()(raw) if place else raw
    u = module.u.clone()
    SpectralNormalization().update(layer)
    assert_allclose(module.v, unit(reaching.T @ u), atol=1e-12)
    assert_allclose(module.u, unit(reaching @ unit(reaching.T @ u)), atol=1e-12)
    SpectralNormalization(power_iterations=500).update(layer)
    expected = reaching / np.linalg.norm(reaching, 2)
    assert_allclose(layer.weight.detach(), expected if place else Columns()(expected), rtol=1e-9)


def test_layers_that_were_not_wrapped_are_ignored() -> None:
    ours = nn.Sequential(SpectralNormalization().wrap(nn.Linear(2, 3), (2,)), nn.Linear(3, 1))
    SpectralNormalization().update(ours)
    assert not parametrize.is_parametrized(ours[1])


def test_the_same_method_twice_is_refused() -> None:
    constraints = [SpectralNormalization(), SpectralNormalization(operator="convolution")]
    with pytest.raises(Refusal, match="spectral_normalization is listed twice"):
        constrain(net(), constraints, SHAPE)
    constrain(net(), constraints[:1], SHAPE)


def test_default_and_invalid_values() -> None:
    default = SpectralNormalization()
    assert (default.operator, default.coefficient, default.power_iterations) == ("reshaped", 1.0, 1)
    for field, value in {"operator": "dense", "coefficient": 0.0, "power_iterations": 0}.items():
        with pytest.raises(ValidationError, match=field):
            SpectralNormalization(**{field: value})


@pytest.mark.parametrize("transposed", [False, True])
def test_the_bidirectional_norm_is_the_mean_of_both_reshaped_kernels(transposed: bool) -> None:
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(2, 3, 3) if transposed else nn.Conv2d(2, 3, 3)
    kernel = layer.weight.detach().double().numpy()
    sigmas = [np.linalg.norm(one.reshape(len(one), -1), 2) for one in (kernel, kernel.swapaxes(0, 1))]
    assert abs(sigmas[0] - sigmas[1]) > 0.01
    method = SpectralNormalization(operator="bidirectional", coefficient=0.5, power_iterations=50)
    net = constrain(nn.Sequential(layer).double(), [method], (2, 5, 5))
    assert_allclose(net[0].weight.detach(), kernel * 0.5 / np.mean(sigmas), rtol=1e-12)
    move(net)
    method.update(net)
    kernel = raw_weight(net[0]).detach().numpy()
    sigmas = [np.linalg.norm(one.reshape(len(one), -1), 2) for one in (kernel, kernel.swapaxes(0, 1))]
    assert_allclose(net[0].weight.detach(), kernel * 0.5 / np.mean(sigmas), rtol=1e-6)


def test_the_bidirectional_gradient_is_that_of_the_quotient() -> None:
    torch.manual_seed(0)
    net = constrain(
        nn.Sequential(nn.Conv2d(2, 3, 3)).double(), [SpectralNormalization(operator="bidirectional")], SHAPE
    )
    module, raw = reparametrizations(net[0])[0], raw_weight(net[0])
    assert torch.autograd.gradcheck(module, (raw.detach().requires_grad_(),))


def test_a_trained_gain_starts_at_one_and_layers_that_share_a_weight_share_it() -> None:
    plain = constrain(net(), [SpectralNormalization()], SHAPE)
    scaled = constrain(net(), [SpectralNormalization(gain=True)], SHAPE)
    x = draw(2, *SHAPE)
    assert torch.equal(plain(x), scaled(x))
    gains = [parameter for name, parameter in scaled.named_parameters() if name.endswith("gain")]
    assert [tuple(gain.shape) for gain in gains] == [()] * 3
    with torch.no_grad():
        gains[-1].fill_(3.0)
        # The last layer is linear, with a bias.
        bias = scaled.get_submodule("output").get_parameter("bias")
        assert_allclose(scaled(x) - bias, 3 * (plain(x) - bias))
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    tied = constrain(nn.Sequential(first, second), [SpectralNormalization(gain=True)], (3,))
    assert len([1 for name, _ in tied.named_parameters() if name.endswith("gain")]) == 1


def test_vectors_advance_at_each_forward_pass_of_training_alone() -> None:
    method = SpectralNormalization(advance="forward")
    ours, theirs = constrain(net(), [method], SHAPE), constrain(net(), [SpectralNormalization()], SHAPE)
    for one in (ours, theirs):
        move(one)
    x, before = draw(2, *SHAPE), vectors(ours)
    method.update(ours)
    with torch.no_grad():
        ours(x)
    ours.eval()(x)
    assert all(map(torch.equal, vectors(ours), before))
    ours.train()
    first = ours(x)
    SpectralNormalization().update(theirs)
    assert_allclose(first.detach(), theirs(x).detach(), rtol=1e-12)
    second = ours(x)
    assert not torch.equal(first, second)
    (first + second).sum().backward()
    # Each pass has the gradient of its own vectors.
    theirs(x).sum().backward()
    SpectralNormalization().update(theirs)
    theirs(x).sum().backward()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_allclose(a.grad, b.grad, rtol=1e-9, atol=1e-12)
