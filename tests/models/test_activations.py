"""The activations of the models, and their check of widths."""

import math
from typing import get_args

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from lipschitz.constraints.base import constrain
from lipschitz.constraints.bjorck import Bjorck
from lipschitz.estimation.upper_bound.composition import upper_bound
from lipschitz.models.activations import Activation, activation
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.group_sort import GroupSort
from lipschitz.models.householder import Householder
from lipschitz.models.mlp import MLP
from lipschitz.models.resnet import ResNet


def test_pairs_of_channels_are_sorted_at_every_position() -> None:
    x = torch.tensor([[[3.0, 1.0], [2.0, 4.0], [-1.0, 0.0], [-2.0, 5.0]]])
    expected = torch.tensor([[[2.0, 1.0], [3.0, 4.0], [-2.0, 0.0], [-1.0, 5.0]]])
    assert torch.equal(GroupSort()(x), expected)
    assert torch.equal(GroupSort()(x[..., 0]), expected[..., 0])


def test_all_channels_are_sorted() -> None:
    assert torch.equal(GroupSort(None)(torch.tensor([[3.0, -1.0, 2.0]])), torch.tensor([[-1.0, 2.0, 3.0]]))


def test_the_householder_activation_by_hand() -> None:
    layer = Householder(4).double()
    x = torch.tensor([[3.0, 1.0, 1.0, 3.0]], dtype=torch.float64)
    # At π/2 the maximum comes first.
    torch.testing.assert_close(layer(x).detach(), torch.tensor([[3.0, 1.0, 3.0, 1.0]], dtype=torch.float64))
    # θ = π has v = (1, 0): the first channel becomes its absolute value. θ = 0 has v = (0, -1): the second, negative.
    layer.angle.data = torch.tensor([math.pi, 0.0], dtype=torch.float64)
    torch.testing.assert_close(layer(-x).detach(), torch.tensor([[3.0, -1.0, -1.0, -3.0]], dtype=torch.float64))
    torch.testing.assert_close(layer(x).detach(), torch.tensor([[3.0, 1.0, 1.0, -3.0]], dtype=torch.float64))


def test_householder_jacobians_are_orthogonal_for_any_angle_and_the_angle_is_trained() -> None:
    torch.manual_seed(0)
    layer = Householder(6).double()
    nn.init.uniform_(layer.angle, -4, 4)
    x = torch.randn(6, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda z: layer(z[None])[0], x)
    torch.testing.assert_close(jacobian @ jacobian.mT, torch.eye(6, dtype=torch.float64))
    assert torch.autograd.gradcheck(layer, torch.randn(2, 6, 3, dtype=torch.float64, requires_grad=True))
    layer(torch.randn(9, 6, dtype=torch.float64)).sum().backward()
    assert layer.angle.grad is not None
    assert layer.angle.grad.count_nonzero() == 3


def test_certified_networks_take_the_householder_activation() -> None:
    model, shape = ResNet(width=2, activation="householder"), (1, 8, 8)
    net = constrain(model.build_discriminator(shape), [Bjorck()], shape).double().eval()
    assert upper_bound(net, shape, flops=0).constant <= 1 + 1e-9


@pytest.mark.parametrize("name", ["group_sort", "max_min", "full_sort", "householder"])
def test_sorting_keeps_norms_and_gradients(name: Activation) -> None:
    x = torch.randn(5, 6, 3, dtype=torch.float64, requires_grad=True)
    y = activation(name, 6).double()(x)
    assert y.shape == x.shape
    # An angle of π/2 sorts, too.
    torch.testing.assert_close(y.sort(dim=1).values, x.sort(dim=1).values)
    direction = torch.randn_like(y)
    (gradient,) = torch.autograd.grad(y, x, direction)
    torch.testing.assert_close(gradient.norm(), direction.norm())


@pytest.mark.parametrize(("model", "shape"), [(MLP, (2,)), (DCGAN, (1, 8, 8))])
def test_models_take_every_activation_and_refuse_odd_widths(model: type[MLP | DCGAN], shape: tuple[int, ...]) -> None:
    for name in get_args(Activation):
        networks = model(width=4, activation=name).build(shape)
        assert networks.discriminator(torch.randn(3, *shape)).shape == (3, 1)
    odd: list[tuple[Activation, str]] = [("group_sort", "sorts"), ("max_min", "sorts"), ("householder", "reflects")]
    for name, does in odd:
        with pytest.raises(ValueError, match=f"{name} {does} pairs of channels, got width 3; allowed: even widths"):
            model(width=3, activation=name).check(shape)
    with pytest.raises(ValidationError, match="activation"):
        model(activation="sort")  # type: ignore[arg-type]


def test_every_hidden_activation_is_the_one_asked_for() -> None:
    modules = list(MLP(width=4, activation="full_sort").build((2,)).discriminator.modules())
    assert sum(isinstance(module, GroupSort) for module in modules) == 3
    assert not any(isinstance(module, nn.ReLU) for module in modules)
