"""Layers that share one weight: projected once and penalised once, and reparametrised alike."""

import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor, nn

from lipschitz.constraints.base import CONSTRAINTS, Batch, Constraint, constrain
from lipschitz.constraints.frobenius_clipping import FrobeniusClipping
from lipschitz.constraints.frobenius_penalty import FrobeniusPenalty
from lipschitz.constraints.gouk_projection import GoukProjection
from lipschitz.constraints.orthonormal_regularization import OrthonormalRegularization
from lipschitz.constraints.spectral_cap import SpectralCap
from lipschitz.constraints.spectral_projection import SpectralProjection
from lipschitz.constraints.spectral_regularization import SpectralRegularization
from lipschitz.constraints.tied_weights import divide_each_once
from lipschitz.constraints.weight_clipping import WeightClipping
from lipschitz.constraints.weight_normalization import WeightNormalization
from lipschitz.estimation.layers import raw_weight

PROJECTIONS = [
    SpectralProjection(),
    SpectralProjection(mode="clip"),
    GoukProjection(),
    FrobeniusClipping(),
    SpectralCap(),
    WeightClipping(),
]
PENALTIES = [
    SpectralRegularization(weight=2.0),
    FrobeniusPenalty(weight=2.0),
    FrobeniusPenalty(weight=2.0, above=0.5),
    OrthonormalRegularization(weight=2.0),
]


def weight() -> Tensor:
    return 3 * torch.randn(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def net(uses: int) -> nn.Module:
    layers = nn.Sequential(*(nn.Linear(4, 4, bias=False) for _ in range(uses))).double()
    shared = nn.Parameter(weight())
    for layer in layers:
        layer.weight = shared
    return layers


@pytest.mark.parametrize("method", PROJECTIONS, ids=Constraint.label)
def test_a_shared_weight_is_projected_once(method: Constraint) -> None:
    once, twice = (constrain(net(uses), [method], (4,)) for uses in (1, 2))
    for ours in (once, twice):
        method.project(ours)
    assert torch.equal(once[0].weight, twice[0].weight)
    assert not torch.equal(once[0].weight, weight())


@pytest.mark.parametrize("method", PENALTIES, ids=Constraint.label)
def test_a_shared_weight_is_penalised_once(method: Constraint) -> None:
    values = []
    for uses in (1, 2):
        ours = constrain(net(uses), [method], (4,))
        method.update(ours)
        batch = Batch(torch.zeros(1, 4, dtype=torch.float64), None)
        values.append(method.penalty(ours, batch, torch.Generator()).item())
    assert values[0] == values[1] > 0


@pytest.mark.parametrize(
    "name",
    # Those need a norm slot, or images.
    sorted(
        CONSTRAINTS.own.keys()
        - {"batch_normalization", "layer_normalization", "instance_normalization", "consistency_regularization"}
    ),
)
def test_a_shared_weight_is_still_shared_after_wrapping(name: str) -> None:
    alone, ours = (constrain(net(uses), [CONSTRAINTS.own[name]()], (4,)) for uses in (1, 2))
    assert raw_weight(ours[0]) is raw_weight(ours[1])
    assert torch.equal(ours[0].weight, ours[1].weight)
    assert torch.equal(ours[0].weight, alone[0].weight)


def test_layers_with_one_v_have_one_trained_gain() -> None:
    ours = WeightNormalization(gain=True).wrap(net(2), (4,))
    assert len(list(ours.parameters())) == 2
    with torch.no_grad():
        ours[1].parametrizations["weight"][0].gain.mul_(2)
    assert torch.equal(ours[0].weight, ours[1].weight)
    assert_allclose(ours[0].weight.detach(), 2 * weight(), rtol=1e-12)


def test_the_largest_divisor_of_a_shared_weight_counts() -> None:
    torch.manual_seed(0)
    # One kernel at two strides: the operators have different norms, and both are at most one after the projection.
    convolutions = [nn.Conv2d(2, 2, 3, stride, padding=1, bias=False).double() for stride in (2, 1)]
    convolutions[1].weight = convolutions[0].weight
    with torch.no_grad():
        convolutions[0].weight.mul_(10)
    method = GoukProjection(power_iterations=100)
    ours = constrain(nn.Sequential(*convolutions), [method], (2, 8, 8))
    method.project(ours)
    norms = []
    for layer, size in zip(convolutions, (8, 4), strict=True):
        basis = torch.eye(2 * size**2, dtype=torch.float64).view(-1, 2, size, size)
        norms.append(torch.linalg.matrix_norm(layer(basis).flatten(1).detach(), 2).item())
    assert max(norms) == pytest.approx(1, rel=1e-4)
    assert min(norms) < 0.99


def test_parameters_that_are_listed_once_are_divided_as_by_torch() -> None:
    ours = [nn.Parameter(weight()), nn.Parameter(2 * weight())]
    divisors = [torch.tensor(3.0, dtype=torch.float64), torch.tensor(0.7, dtype=torch.float64)]
    divide_each_once(ours, divisors)
    assert torch.equal(ours[0], weight() / 3.0)
    assert torch.equal(ours[1], 2 * weight() / divisors[1])
