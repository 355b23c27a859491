"""σ of a layer against the SVD of the dense matrix that it applies, and what measuring leaves alone."""

import math
from collections import OrderedDict

import numpy as np
import pytest
import torch
from drawn_layers import Drawn, convolutions, dense, linears, transposed_convolutions
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from torch import nn

from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.estimation.layers import raw_weight, reshaped_weight
from lipschitz.estimation.operators import adjoint, linear_part
from lipschitz.estimation.sigma import layer_sigmas, operator_sigma, spectrum

ANY = st.one_of(convolutions(), transposed_convolutions(), linears())


def reshaped_sigma(layer: nn.Module) -> float:
    return float(np.linalg.norm(reshaped_weight(layer).detach().numpy(), 2))


@settings(deadline=None, max_examples=150)
@given(ANY)
def test_operator_sigma_is_that_of_the_dense_matrix(drawn: Drawn) -> None:
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


def has_interior_output(layer: nn.Conv1d | nn.Conv2d, shape: torch.Size) -> bool:
    """Say whether along each axis some output position sees the whole kernel inside the input."""
    axes = zip(layer.stride, layer.padding, layer.dilation, layer.kernel_size, shape[1:], strict=True)
    return all(
        math.ceil(int(padding) / stride) * stride - int(padding) + dilation * (kernel - 1) <= size - 1
        for stride, padding, dilation, kernel, size in axes
    )


@settings(deadline=None, max_examples=80)
@given(convolutions(grouped=False))
def test_with_an_interior_output_the_reshaped_sigma_is_a_lower_bound(drawn: Drawn) -> None:
    layer, shape = drawn
    assume(has_interior_output(layer, shape))
    assert reshaped_sigma(layer) <= np.linalg.norm(dense(layer, shape), 2) * (1 + 1e-9)


def test_without_one_it_is_no_bound() -> None:
    # On a single pixel only the kernel's centre acts, and here it is zero.
    layer = nn.Conv2d(1, 1, 3, padding=1).double()
    layer.weight.data = torch.ones(1, 1, 3, 3, dtype=torch.float64)
    layer.weight.data[0, 0, 1, 1] = 0.0
    assert operator_sigma(layer, torch.Size((1, 1, 1))) == 0
    assert spectrum(layer)[0].item() == pytest.approx(math.sqrt(8))


def test_nor_is_it_for_groups() -> None:
    # Two equal groups: stacked, their kernels have √2 times the σ of each, but each acts on its own channels.
    layer = nn.Conv1d(2, 2, 1, groups=2).double()
    layer.weight.data = torch.ones(2, 1, 1, dtype=torch.float64)
    assert operator_sigma(layer, torch.Size((2, 4))) == pytest.approx(1)
    assert spectrum(layer)[0].item() == pytest.approx(math.sqrt(2))


def test_nor_above_since_a_stride_below_the_kernels_width_adds_up() -> None:
    # Every input pixel is seen by three outputs: the averaging kernel has σ √3 as a matrix, nearly 3 as an operator.
    layer = nn.Conv1d(1, 1, 3, padding=1).double()
    layer.weight.data = torch.ones(1, 1, 3, dtype=torch.float64)
    assert spectrum(layer)[0].item() == pytest.approx(math.sqrt(3))
    # The matrix is tridiagonal Toeplitz: 1 + 2 cos(π / (n + 1)).
    assert operator_sigma(layer, torch.Size((1, 50)), tolerance=1e-9) == pytest.approx(1 + 2 * math.cos(math.pi / 51))


def test_the_spectrum_is_complete_descending_and_double() -> None:
    layer = nn.ConvTranspose2d(3, 4, 2)
    values = spectrum(layer)
    matrix = layer.weight.detach().double().numpy().transpose(1, 0, 2, 3).reshape(4, 12)
    assert values.dtype == torch.float64
    assert_allclose(values, np.linalg.svd(matrix, compute_uv=False), rtol=1e-10)


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


def test_every_layer_is_measured_at_the_size_it_is_given() -> None:
    ours = net()
    shapes = {"conv": (1, 4, 4), "deconv": (3, 2, 2), "output": (18,)}
    sigmas = layer_sigmas(ours, EXAMPLE, tolerance=1e-9)
    assert list(sigmas) == list(shapes)
    for name, shape in shapes.items():
        layer = ours.get_submodule(name)
        assert sigmas[name].reshaped == pytest.approx(reshaped_sigma(layer))
        exact = np.linalg.norm(dense(layer, torch.Size(shape)), 2)
        assert sigmas[name].operator == pytest.approx(exact, rel=1e-8)


def test_the_effective_weight_is_measured_not_the_raw_one_nor_the_method_s_word() -> None:
    ours = SpectralNormalization().wrap(net(), (1, 4, 4))
    assert all(sigma.reshaped == pytest.approx(1, abs=1e-9) for sigma in layer_sigmas(ours, EXAMPLE).values())
    with torch.no_grad():
        raw_weight(ours.output).copy_(torch.arange(18.0).view(1, 18))
    assert layer_sigmas(ours, EXAMPLE)["output"].reshaped > 1.01, "σ by the kept vectors would still be one"


def test_measuring_leaves_mode_gradients_buffers_and_random_numbers_alone() -> None:
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
def test_another_padding_is_refused(mode: str) -> None:
    layer = nn.Conv2d(1, 1, 3, padding=1, padding_mode=mode)
    with pytest.raises(ValueError, match=f"padding mode '{mode}' is not measured; allowed: zeros"):
        operator_sigma(layer, torch.Size((1, 4, 4)))


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_padding_by_name(padding: str) -> None:
    layer = nn.Conv2d(1, 2, 3, padding=padding).double()
    shape = torch.Size((1, 4, 4))
    exact = np.linalg.norm(dense(layer, shape), 2)
    assert operator_sigma(layer, shape, tolerance=1e-9) == pytest.approx(exact, rel=1e-8)
