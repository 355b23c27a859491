"""σ of layers' operators against the SVD of their dense matrix. Measuring does not change the network."""

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
from call_counters import AtenCalls
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_strategies import Drawn, convolutions, dense, linears, operator_sigma, transposed_convolutions
from numpy.testing import assert_allclose
from torch import Tensor, nn

from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.estimation.layers import input_shapes, raw_weight, reshaped_weight, weighted_layers
from lipschitz.estimation.sigma import layer_sigmas as module
from lipschitz.estimation.sigma.batched_host_copies import Algorithm, advance_one_by_one, advance_together
from lipschitz.estimation.sigma.lanczos import LeadingSingularValue, LinearMap, lanczos
from lipschitz.estimation.sigma.layer_sigmas import (
    layer_sigmas,
    operator_lanczos,
    reshaped_sigmas,
)
from lipschitz.estimation.sigma.operators import adjoint, linear_part
from lipschitz.models.resnet import ResNet

ANY = st.one_of(convolutions(most_axes=3), transposed_convolutions(axes=(1, 2, 3)), linears())


def kernel_sigma(layer: nn.Module) -> float:
    return float(np.linalg.norm(reshaped_weight(layer).detach().numpy(), 2))


@settings(deadline=None, max_examples=150)
@given(ANY)
def test_operator_sigma_equals_that_of_the_dense_matrix(drawn: Drawn) -> None:
    exact = np.linalg.norm(dense(*drawn), 2)
    assert operator_sigma(*drawn, tolerance=1e-9) == pytest.approx(exact, rel=1e-8, abs=1e-12)
    assert exact * (1 - 1e-3) - 1e-12 <= operator_sigma(*drawn) <= exact * (1 + 1e-12)


@settings(deadline=None, max_examples=50)
@given(ANY)
def test_the_linear_part_and_its_adjoint_are_the_dense_matrix_and_its_transpose(drawn: Drawn) -> None:
    layer, shape = drawn
    matrix, x = dense(layer, shape), torch.randn(1, *shape, dtype=torch.float64)
    forward = linear_part(layer)
    y = forward(x)
    assert_allclose(y.flatten(), matrix @ x.flatten().numpy(), atol=1e-12)
    back = adjoint(forward, x)(torch.ones_like(y))
    assert back.shape == x.shape
    assert_allclose(back.flatten(), matrix.T.sum(axis=1), atol=1e-12)


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(1, 3, 3, padding=1, stride=2),
            relu=nn.ReLU(),
            deconv=nn.ConvTranspose2d(3, 2, 2),
            flatten=nn.Flatten(),
            output=nn.Linear(2 * 9, 1),
        )
    ).double()


EXAMPLE = torch.ones(2, 1, 4, 4, dtype=torch.float64)


def test_every_layer_is_measured_at_its_input_size() -> None:
    ours = net()
    shapes = {"conv": (1, 4, 4), "deconv": (3, 2, 2), "output": (18,)}
    sigmas = layer_sigmas(ours, EXAMPLE, tolerance=1e-9)
    assert list(sigmas) == list(shapes)
    for name, shape in shapes.items():
        layer = ours.get_submodule(name)
        assert sigmas[name].reshaped == pytest.approx(kernel_sigma(layer), rel=1e-10)
        exact = np.linalg.norm(dense(layer, torch.Size(shape)), 2)
        assert sigmas[name].operator == pytest.approx(exact, rel=1e-8)


def test_the_effective_weight_is_measured_and_no_buffer_of_the_constraint() -> None:
    ours = SpectralNormalization().wrap(net(), (1, 4, 4))
    assert all(sigma.reshaped == pytest.approx(1, abs=1e-9) for sigma in layer_sigmas(ours, EXAMPLE).values())
    with torch.no_grad():
        raw_weight(ours.output).copy_(torch.arange(18.0).view(1, 18))
    assert layer_sigmas(ours, EXAMPLE)["output"].reshaped > 1.01, "σ by the constraint's own vectors would still be one"


def test_measuring_does_not_change_mode_gradients_buffers_or_random_numbers() -> None:
    ours = SpectralNormalization().wrap(net(), (1, 4, 4))
    ours(EXAMPLE).sum().backward()
    gradients = [parameter.grad.clone() for parameter in ours.parameters() if parameter.grad is not None]
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    random = torch.get_rng_state()
    for training in (True, False):
        ours.train(training)
        layer_sigmas(ours, EXAMPLE)
        assert all(module.training is training for module in ours.modules())
    assert torch.equal(torch.get_rng_state(), random)
    assert len(gradients) == 6
    for parameter, gradient in zip(ours.parameters(), gradients, strict=True):
        assert torch.equal(parameter.grad, gradient)
    assert all(torch.equal(value, before[name]) for name, value in ours.state_dict().items())
    assert not any(module._forward_pre_hooks for module in ours.modules())


@pytest.mark.parametrize("mode", ["circular", "reflect", "replicate"])
@pytest.mark.parametrize("padding", [1, "same"])
def test_every_padding_mode_is_linear_and_measured(mode: str, padding: int | str) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(2, 3, 3, padding=padding, padding_mode=mode).double()
    shape = torch.Size((2, 4, 4))
    exact = np.linalg.norm(dense(layer, shape), 2)
    assert operator_sigma(layer, shape, tolerance=1e-9) == pytest.approx(exact, rel=1e-8)
    assert exact != pytest.approx(np.linalg.norm(dense(with_zeros(layer), shape), 2), rel=1e-3)


def with_zeros(layer: nn.Conv2d) -> nn.Conv2d:
    other = nn.Conv2d(2, 3, 3, padding=layer.padding).double()
    other.load_state_dict(layer.state_dict())
    return other


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_padding_by_name(padding: str) -> None:
    layer = nn.Conv2d(1, 2, 3, padding=padding).double()
    shape = torch.Size((1, 4, 4))
    exact = np.linalg.norm(dense(layer, shape), 2)
    assert operator_sigma(layer, shape, tolerance=1e-9) == pytest.approx(exact, rel=1e-8)


def test_given_sigmas_of_the_kernels_are_used() -> None:
    known = {"conv": 1.5, "deconv": 2.5, "output": 3.5}
    with AtenCalls() as calls:
        sigmas = layer_sigmas(net(), EXAMPLE, reshaped=known)
    assert {name: found.reshaped for name, found in sigmas.items()} == known
    assert sigmas["output"].operator == 3.5
    assert not calls.counts["_linalg_eigh"]


def resnet() -> tuple[nn.Module, Tensor]:
    """Return a discriminator with several convolutions of one shape, one of them zero, and an example."""
    torch.manual_seed(0)
    ours = ResNet(width=3).build_discriminator((3, 8, 8)).double().requires_grad_(False)
    ours.get_submodule("blocks.3.first.conv").weight.zero_()
    return ours, torch.zeros(1, 3, 8, 8, dtype=torch.float64)


@pytest.mark.parametrize("run", [advance_one_by_one, advance_together])
def test_each_layer_is_measured_as_if_alone(monkeypatch: pytest.MonkeyPatch, run: Any) -> None:
    monkeypatch.setattr(module, "advance_one_by_one", run)
    ours, example = resnet()
    shapes = input_shapes(ours, (3, 8, 8))
    layers = {name: layer for name, layer in weighted_layers(ours) if name in shapes}
    starts = {}
    sigmas = layer_sigmas(ours, example, starts=starts)
    for name, layer in layers.items():
        assert sigmas[name].operator == pytest.approx(operator_sigma(layer, shapes[name]), rel=1e-10)
        assert sigmas[name].reshaped == pytest.approx(reshaped_sigmas({"": layer})[""], rel=1e-10)
    assert sigmas["blocks.3.first.conv"] == (0, 0, True)
    # Warm starts for some of the layers.
    some = {name: start for index, (name, start) in enumerate(starts.items()) if index % 2}
    before = dict(some)
    sigmas = layer_sigmas(ours, example, starts=some)
    assert list(some) == [*before, *(name for name in starts if name not in before)]
    for name, start in some.items():
        (alone,) = advance_one_by_one([operator_lanczos(layers[name], shapes[name], start=before.get(name))])
        assert sigmas[name].operator == pytest.approx(alone.sigma, rel=1e-10)
        assert_allclose(start, alone.next_start, atol=1e-10)


def test_starts_are_stored_by_layer_and_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []

    def watched(
        forward: LinearMap, adjoint: LinearMap, start: Tensor, **options: float
    ) -> Algorithm[LeadingSingularValue]:
        begun.append(start)
        return lanczos(forward, adjoint, start, **options)

    monkeypatch.setattr(module, "lanczos", watched)
    ours, starts = net(), {}
    cold = layer_sigmas(ours, EXAMPLE, starts=starts)
    # In the shape of the smaller side of each convolution; a Linear layer needs no start.
    assert {name: start.shape for name, start in starts.items()} == {"conv": (1, 3, 2, 2), "deconv": (1, 3, 2, 2)}
    before = {name: start.clone() for name, start in starts.items()}
    ours.conv.weight.data *= 3
    warm = layer_sigmas(ours, EXAMPLE, starts=starts)
    assert warm["conv"].operator == pytest.approx(3 * cold["conv"].operator, rel=1e-3)
    assert warm["deconv"].operator == pytest.approx(cold["deconv"].operator, rel=1e-3)
    assert starts.keys() == before.keys()
    # A warm start is the kept start plus a tenth of the random map from which the cold run began.
    for cold_start, warm_start, kept in zip(begun[:2], begun[2:], before.values(), strict=True):
        assert_allclose(warm_start, kept + 0.1 * cold_start, atol=1e-12)


def test_a_start_at_another_singular_vector_still_finds_the_largest() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 4, 3, padding=1).double()
    shape = torch.Size((4, 8, 8))
    _, sigmas, right = np.linalg.svd(dense(layer, shape))
    starts = {"": torch.from_numpy(right[2]).view(1, *shape)}
    assert sigmas[2] < (1 - 1e-3) * sigmas[0]
    example = torch.zeros(1, *shape, dtype=torch.float64)
    assert layer_sigmas(layer, example, starts=starts)[""].operator == pytest.approx(sigmas[0], rel=1e-3)


def test_a_start_of_another_shape_is_ignored() -> None:
    starts = {"conv": torch.ones(1, 7, 2, 2, dtype=torch.float64)}
    layer_sigmas(net(), EXAMPLE, starts=starts)
    assert starts["conv"].shape == (1, 3, 2, 2)


def test_a_layer_used_at_two_sizes_is_measured_at_the_larger() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 3, padding=1)
            self.unused = nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(nn.functional.avg_pool2d(self.conv(x), 2)).flatten(1).sum(1, keepdim=True)

    torch.manual_seed(0)
    ours = Twice().double()
    sigmas = layer_sigmas(ours, EXAMPLE, tolerance=1e-9)
    assert list(sigmas) == ["conv"]
    large, small = (np.linalg.norm(dense(ours.conv, torch.Size((1, n, n))), 2) for n in (4, 2))
    assert sigmas["conv"].operator == pytest.approx(large, rel=1e-8)
    assert small < large


@settings(deadline=None, max_examples=50)
@given(st.one_of(convolutions(), transposed_convolutions()), st.data())
def test_the_norm_does_not_decrease_with_the_input_size(drawn: Drawn, data: st.DataObject) -> None:
    layer, shape = drawn
    larger = torch.Size((shape[0], *(size + data.draw(st.integers(0, 3)) for size in shape[1:])))
    assert np.linalg.norm(dense(layer, shape), 2) <= np.linalg.norm(dense(layer, larger), 2) * (1 + 1e-12)


class NormalizedLinear(nn.Linear):
    """Applies its weight divided by its own norm, as layers with their own spectral normalization do."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight / torch.linalg.matrix_norm(self.weight, 2), self.bias)


class NormalizedConvolution(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.weight / 4, self.bias)


class Rectified(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()


def test_a_layer_with_its_own_forward_is_measured_by_what_it_applies() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(NormalizedConvolution(2, 3, 3), nn.Flatten(), NormalizedLinear(12, 2), Rectified(2, 2)).double()
    example = torch.zeros(1, 2, 4, 4, dtype=torch.float64)
    found = layer_sigmas(net.requires_grad_(False), example, tolerance=1e-6)
    plain = nn.Conv2d(2, 3, 3).double()
    plain.weight.data = net[0].weight / 4
    assert found["0"].operator == pytest.approx(operator_sigma(plain, torch.Size((2, 4, 4))), rel=1e-6)
    assert found["2"].operator == pytest.approx(1)
    assert [sigma.reshaped for sigma in found.values()] == pytest.approx([np.nan] * 3, nan_ok=True)
    assert np.isnan(found["3"].operator)
