"""The projection of Gouk et al. against the SVD of each layer's dense operator, in float64."""

import copy
import math
from collections import OrderedDict
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from layer_strategies import Drawn, convolutions, dense, linears, transposed_convolutions
from numpy.testing import assert_allclose
from pydantic import ValidationError
from torch import Tensor, nn
from torch.testing import assert_close

from lipschitz.constraints.base import Refusal, constrain
from lipschitz.constraints.gouk_projection import GoukProjection, absolute_norm
from lipschitz.constraints.spectral_projection import SpectralProjection
from lipschitz.estimation.layers import WeightedLayer, raw_weight, weighted_layers
from lipschitz.estimation.sigma.layer_sigmas import layer_sigmas

SHAPE = (2, 6, 6)
CONVERGED = 300


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(2, 3, 4, stride=2, padding=1),
            relu=nn.ReLU(),
            deconv=nn.ConvTranspose2d(3, 4, 2),
            flatten=nn.Flatten(),
            output=nn.Linear(4 * 16, 3),
        )
    ).double()


def operators(net: nn.Module) -> dict[str, float]:
    example = torch.zeros(1, *SHAPE, dtype=torch.float64)
    return {name: sigma.operator for name, sigma in layer_sigmas(net, example, tolerance=1e-10).items()}


def scale(net: nn.Module, *factors: float) -> None:
    """Multiply the weights so that the true σ of each is the given factor."""
    with torch.no_grad():
        for (name, layer), factor in zip(list(weighted_layers(net)), factors, strict=True):
            raw_weight(layer).mul_(factor / operators(net)[name])


def weights(net: nn.Module) -> list[Tensor]:
    return [raw_weight(layer).detach().clone() for _, layer in weighted_layers(net)]


@settings(deadline=None, max_examples=40)
@given(
    st.one_of(convolutions(grouped=False), transposed_convolutions(grouped=False), linears()),
    st.sampled_from([0.5, 3.0]),
)
def test_after_convergence_no_layer_exceeds_lambda(drawn: Drawn, factor: float) -> None:
    layer, shape = drawn
    exact = np.linalg.norm(dense(layer, shape), 2)
    assume(exact > 1e-6)
    old = layer.weight.detach().clone()
    # λ is ``factor`` times σ of the operator. The weight must shrink to λ if factor < 1, and stay if factor > 1.
    constraint = GoukProjection(lambda_conv=factor * exact, lambda_dense=factor * exact, power_iterations=200)
    constraint.wrap(layer, tuple(shape))
    constraint.project(layer)
    if factor > 1:
        assert torch.equal(layer.weight, old)
    else:
        assert factor * exact * (1 - 1e-9) <= np.linalg.norm(dense(layer, shape), 2) <= factor * exact * (1 + 1e-3)


def test_each_kind_of_layer_has_its_own_lambda() -> None:
    ours = net()
    constraint = GoukProjection(lambda_conv=2.0, lambda_dense=0.5, power_iterations=CONVERGED)
    constraint.wrap(ours, SHAPE)
    scale(ours, 5.0, 1.5, 3.0)
    before = weights(ours)
    constraint.project(ours)
    assert_allclose(list(operators(ours).values()), [2.0, 1.5, 0.5], rtol=1e-6)
    for weight, old, ratio in zip(weights(ours), before, [2 / 5, 1, 0.5 / 3], strict=True):
        assert_allclose(weight, ratio * old, rtol=1e-6)


def test_the_projection_is_idempotent() -> None:
    ours = net()
    constraint = GoukProjection(power_iterations=CONVERGED)
    constraint.wrap(ours, SHAPE)
    scale(ours, 5.0, 0.5, 3.0)
    constraint.project(ours)
    once = weights(ours)
    constraint.project(ours)
    for weight, other in zip(weights(ours), once, strict=True):
        assert_allclose(weight, other, rtol=1e-6)


def test_clipping_the_reshaped_kernel_does_not_bound_the_operator() -> None:
    largest = []
    for constraint in (SpectralProjection(mode="clip"), GoukProjection(power_iterations=CONVERGED)):
        ours = net()
        constraint.wrap(ours, SHAPE)
        scale(ours, 5.0, 5.0, 5.0)
        constraint.project(ours)
        largest.append(operators(ours)["conv"])
    assert largest[0] > 1.1
    assert largest[1] == pytest.approx(1, rel=1e-6)


def test_singular_vectors_are_kept_between_projections() -> None:
    ours = net()
    constraint = GoukProjection(power_iterations=1)
    constraint.wrap(ours, SHAPE)
    # New kernels, for which the stored singular vectors are wrong.
    with torch.no_grad():
        for layer in (layer for _, layer in weighted_layers(ours)):
            layer.weight.copy_(torch.randn(layer.weight.shape, generator=torch.Generator().manual_seed(1)))
    addresses = [buffer.data_ptr() for buffer in ours.buffers()]
    constraint.project(ours)
    assert max(operators(ours).values()) > 1.01, "the test needs more than one step to converge"
    for _ in range(CONVERGED):
        constraint.project(ours)
    assert_allclose(list(operators(ours).values()), 1, rtol=1e-6)
    assert [buffer.data_ptr() for buffer in ours.buffers()] == addresses


@pytest.mark.parametrize(("bound", "factor"), [(1.5, 0.5), (None, 1.0), (4.0, 1.0)])
def test_gamma_is_scaled_by_lambda_bn(bound: float | None, factor: float) -> None:
    # γ / √(Var + ε) is (1, -3, 0.5).
    ours = nn.Sequential(nn.Linear(1, 3), nn.BatchNorm1d(3, eps=1.0)).double()
    ours[1].weight.data = torch.tensor([2.0, -3.0, 2.5], dtype=torch.float64)
    ours[1].running_var.copy_(torch.tensor([3.0, 0.0, 24.0]))
    constraint = GoukProjection(lambda_bn=bound)
    constrain(ours, [constraint], (1,))
    constraint.project(ours)
    assert_allclose(ours[1].weight.detach(), factor * np.array([2.0, -3.0, 2.5]))


def test_missing_gamma_is_refused_unless_lambda_bn_is_null() -> None:
    ours = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, affine=False))
    with pytest.raises(Refusal, match="gouk_projection scales γ of batch normalization, but '1' has no trained γ"):
        constrain(ours, [GoukProjection()], (2,))
    constrain(ours, [GoukProjection(lambda_bn=None)], (2,))


def test_unsupported_convolutions_are_refused() -> None:
    circular = nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular")
    with pytest.raises(Refusal, match="gouk_projection does not support convolution ''"):
        GoukProjection().wrap(circular, SHAPE)
    unused = nn.Sequential(nn.Conv2d(2, 2, 1), nn.Identity())
    unused[1].register_module("spare", nn.Conv2d(2, 2, 1))
    with pytest.raises(Refusal, match=r"gouk_projection needs the input size of '1\.spare'"):
        GoukProjection().wrap(unused, SHAPE)


def test_default_and_invalid_values() -> None:
    default = GoukProjection()
    assert (default.lambda_conv, default.lambda_dense, default.lambda_bn) == (1.0, 1.0, 1.0)
    for field in ("lambda_conv", "lambda_dense", "lambda_bn", "power_iterations"):
        with pytest.raises(ValidationError, match=field):
            GoukProjection(**{field: 0})


LAYERS: list[tuple[WeightedLayer, bool]] = [
    (nn.Linear(7, 5), True),
    (nn.Conv2d(2, 3, 3, padding=1), True),
    (nn.Conv2d(4, 6, 3, padding=1, groups=2), True),
    (nn.Conv2d(2, 3, 4, stride=2, padding=1), False),
    (nn.ConvTranspose2d(2, 3, 3, padding=1), True),
    (nn.ConvTranspose2d(4, 6, 3, padding=1, groups=2), True),
    (nn.ConvTranspose2d(2, 3, 4, stride=2, padding=1), False),
]


@pytest.mark.parametrize(("layer", "is_exact"), LAYERS, ids=lambda value: str(value))
@pytest.mark.parametrize("p", [1, "inf"])
def test_absolute_sums_are_the_operator_norms_for_one_and_infinity(
    layer: WeightedLayer, is_exact: bool, p: Literal[1, "inf"]
) -> None:
    layer = copy.deepcopy(layer).double()
    shape = (layer.in_features,) if isinstance(layer, nn.Linear) else (layer.in_channels, 6, 6)
    bare = copy.deepcopy(layer).requires_grad_(False)
    assert bare.bias is not None
    bare.bias.zero_()
    columns = torch.eye(math.prod(shape), dtype=torch.float64).view(-1, *shape)
    # Row i is the image of the i-th unit vector, a column of the dense matrix.
    images = bare(columns).flatten(1).abs()
    exact = images.sum(1).max() if p == 1 else images.sum(0).max()
    found = absolute_norm(layer, layer.weight, p)
    assert found >= exact * (1 - 1e-12)
    if is_exact:
        assert_close(found, exact)


@pytest.mark.parametrize("p", [1, "inf"])
def test_the_projection_in_other_norms_by_hand(p: Literal[1, "inf"]) -> None:
    layer = nn.Linear(2, 2, bias=False)
    layer.weight.data = torch.tensor([[1.0, -3.0], [2.0, 0.5]])
    small = nn.Linear(2, 1, bias=False)
    small.weight.data = torch.tensor([[0.25, -0.25]])
    constraint = GoukProjection(p=p, lambda_dense=2.0)
    net = constrain(nn.Sequential(layer, small), [constraint], (2,))
    assert not list(net.buffers())
    kept = small.weight.detach().clone()
    constraint.project(net)
    # Columns sum to 3 and 3.5, rows to 4 and 2.5.
    assert_close(layer.weight.detach(), torch.tensor([[1.0, -3.0], [2.0, 0.5]]) / ((3.5 if p == 1 else 4.0) / 2))
    assert torch.equal(small.weight, kept)
