"""Spectral normalization of the convolution operator against SVD and autograd of its dense matrix."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from layer_strategies import Drawn, convolutions, dense, transposed_convolutions
from numpy.testing import assert_allclose
from torch import Tensor, nn

from lipschitz.constraints.base import Refusal
from lipschitz.constraints.normalized_weight import NormalizedConvolution, NormalizedWeight
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.estimation.layers import raw_weight
from lipschitz.estimation.sigma.layer_sigmas import layer_sigmas

SHAPE = (2, 6, 6)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def constraint(coefficient: float = 1.0, power_iterations: int = 1) -> SpectralNormalization:
    return SpectralNormalization(operator="convolution", coefficient=coefficient, power_iterations=power_iterations)


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(2, 3, 4, stride=2, padding=1),
            tanh=nn.Tanh(),
            deconv=nn.ConvTranspose2d(3, 4, 2),
            flatten=nn.Flatten(),
            output=nn.Linear(4 * 16, 3),
        )
    ).double()


def normalized(layer: nn.Module) -> NormalizedConvolution:
    return layer.parametrizations["weight"][0]


def move(net: nn.Module) -> None:
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.3 * draw(*parameter.shape, seed=5))


def state(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net.named_buffers()}


@settings(deadline=None, max_examples=40)
@given(st.one_of(convolutions(grouped=False), transposed_convolutions(grouped=False)), st.sampled_from([1.0, 0.5]))
def test_after_convergence_the_operator_norm_is_c(drawn: Drawn, c: float) -> None:
    matrix = dense(*drawn)
    sigmas = np.linalg.svd(matrix, compute_uv=False)
    assume(sigmas[0] > 1e-6)
    ours = constraint(c).wrap(drawn.layer, tuple(drawn.shape))
    # From an unlucky start, 200 steps may be far from convergence: the same number on the dense matrix is as far.
    start = normalized(ours).u.flatten().numpy().copy()
    left = matrix.T @ np.linalg.matrix_power(matrix @ matrix.T / sigmas[0] ** 2, 199) @ start
    reached = np.linalg.norm(matrix @ left) / np.linalg.norm(left)
    constraint(c, power_iterations=200).update(ours)
    norm = np.linalg.norm(dense(ours, drawn.shape), 2)
    assert_allclose(norm, c * sigmas[0] / reached, rtol=1e-6)
    # Power iteration underestimates σ, so the norm is at least c.
    assert c * (1 - 1e-9) <= norm
    if len(sigmas) == 1 or sigmas[1] < 0.98 * sigmas[0]:
        assert norm <= c * (1 + 1e-3)


@settings(deadline=None, max_examples=30)
@given(st.one_of(convolutions(grouped=False), transposed_convolutions(grouped=False)))
def test_gradients_match_the_dense_computation(drawn: Drawn) -> None:
    layer, shape = drawn
    assume(np.linalg.norm(dense(layer, shape), 2) > 1e-6)
    bare = layer.weight.detach().clone()
    identity = torch.eye(shape.numel(), dtype=torch.float64).view(-1, *shape)
    ours = constraint(0.5).wrap(layer, tuple(shape))
    module = normalized(ours)

    def expected(weight: Tensor) -> Tensor:
        matrix = module.convolution.forward(weight, identity).flatten(1).T
        return 0.5 * weight / (module.u.flatten() @ matrix @ module.v.flatten())

    gradient, results = draw(*bare.shape), []
    for weight, function in ((raw_weight(ours), module), (bare.requires_grad_(), expected)):
        value = function(weight)
        (first,) = torch.autograd.grad(value.tanh(), weight, gradient, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), weight)
        results.append((value.detach(), first.detach(), second))
    for one, other in zip(*results, strict=True):
        assert_allclose(one, other, rtol=1e-8, atol=1e-13 + 1e-10 * float(other.abs().max()))


def test_updates_bring_the_operator_norm_to_one_at_the_true_input_size() -> None:
    ours = constraint().wrap(net(), SHAPE)
    move(ours)
    measured = [sigma.operator for sigma in layer_sigmas(ours, draw(1, *SHAPE)).values()]
    assert max(measured) > 1.05
    constraint(power_iterations=400).update(ours)
    for name, sigma in layer_sigmas(ours, draw(1, *SHAPE), tolerance=1e-9).items():
        assert sigma.operator == pytest.approx(1, rel=1e-4), name
    reshaped = SpectralNormalization().wrap(net(), SHAPE)
    assert layer_sigmas(reshaped, draw(1, *SHAPE))["conv"].operator > 1.1, "σ of the reshaped kernel is not enough"


def test_one_update_is_one_step_of_power_iteration_on_the_dense_matrix() -> None:
    ours = constraint().wrap(net(), SHAPE)
    move(ours)
    layer = ours.conv
    module, weight = normalized(layer), raw_weight(layer).detach()
    u, addresses = module.u.flatten().numpy().copy(), [buffer.data_ptr() for buffer in ours.buffers()]
    constraint().update(ours)
    bare = nn.Conv2d(2, 3, 4, stride=2, padding=1).double()
    bare.weight.data = weight
    matrix = dense(bare, torch.Size(SHAPE))
    v = matrix.T @ u / np.linalg.norm(matrix.T @ u)
    assert_allclose(module.v.flatten(), v, atol=1e-12)
    assert_allclose(module.u.flatten(), matrix @ v / np.linalg.norm(matrix @ v), atol=1e-12)
    assert_allclose(layer.weight.detach(), weight / np.linalg.norm(matrix @ v), rtol=1e-12)
    assert [buffer.data_ptr() for buffer in ours.buffers()] == addresses


def test_linear_layers_are_normalised_as_with_the_reshaped_kernel() -> None:
    one, other = constraint().wrap(net(), SHAPE), SpectralNormalization().wrap(net(), SHAPE)
    assert isinstance(one.output.parametrizations["weight"][0], NormalizedWeight)
    for each in (one, other):
        move(each)
    constraint().update(one)
    SpectralNormalization().update(other)
    assert torch.equal(one.output.weight, other.output.weight)


def test_the_first_call_is_correct_in_eval_mode() -> None:
    ours = constraint().wrap(net(), SHAPE).eval()
    for name, sigma in layer_sigmas(ours, draw(1, *SHAPE)).items():
        assert sigma.operator == pytest.approx(1, rel=1e-2), name


def test_wrapping_is_reproducible_and_draws_no_random_numbers() -> None:
    bare = net()
    random = torch.get_rng_state()
    first = state(constraint().wrap(bare, SHAPE))
    assert torch.equal(torch.get_rng_state(), random)
    second = state(constraint().wrap(net(), SHAPE))
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_only_update_changes_the_buffers() -> None:
    ours = constraint().wrap(net(), SHAPE)
    move(ours)
    before = state(ours)
    assert len(before) == 8
    ours(draw(2, *SHAPE)).sum().backward()
    ours.eval()(draw(2, *SHAPE))
    layer_sigmas(ours, draw(1, *SHAPE))
    assert all(torch.equal(value, before[name]) for name, value in state(ours).items())
    constraint().update(ours)
    assert not any(torch.equal(value, before[name]) for name, value in state(ours).items())


def test_an_unused_convolution_is_refused() -> None:
    class Spare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x)

    with pytest.raises(Refusal, match="spectral_normalization needs the input size of 'unused'"):
        constraint().wrap(Spare(), (1, 4, 4))
    SpectralNormalization().wrap(Spare(), (1, 4, 4))
