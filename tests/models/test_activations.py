"""The activations of the models, and their check of widths."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from lipschitz.models.activations import activation
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.group_sort import GroupSort
from lipschitz.models.mlp import MLP


def test_pairs_of_channels_are_sorted_at_every_position() -> None:
    x = torch.tensor([[[3.0, 1.0], [2.0, 4.0], [-1.0, 0.0], [-2.0, 5.0]]])
    expected = torch.tensor([[[2.0, 1.0], [3.0, 4.0], [-2.0, 0.0], [-1.0, 5.0]]])
    assert torch.equal(GroupSort()(x), expected)
    assert torch.equal(GroupSort()(x[..., 0]), expected[..., 0])


def test_all_channels_are_sorted() -> None:
    assert torch.equal(GroupSort(None)(torch.tensor([[3.0, -1.0, 2.0]])), torch.tensor([[-1.0, 2.0, 3.0]]))


@pytest.mark.parametrize("name", ["group_sort", "full_sort"])
def test_sorting_keeps_norms_and_gradients(name: str) -> None:
    x = torch.randn(5, 6, 3, dtype=torch.float64, requires_grad=True)
    y = activation(name)(x)  # type: ignore[arg-type]
    assert y.shape == x.shape
    torch.testing.assert_close(y.sort(dim=1).values, x.sort(dim=1).values)
    direction = torch.randn_like(y)
    (gradient,) = torch.autograd.grad(y, x, direction)
    torch.testing.assert_close(gradient.norm(), direction.norm())


@pytest.mark.parametrize(("model", "shape"), [(MLP, (2,)), (DCGAN, (1, 8, 8))])
def test_models_take_every_activation_and_refuse_odd_widths(model: type[MLP | DCGAN], shape: tuple[int, ...]) -> None:
    for name in ("relu", "leaky_relu", "group_sort", "full_sort"):
        networks = model(width=4, activation=name).build(shape)  # type: ignore[arg-type]
        assert networks.discriminator(torch.randn(3, *shape)).shape == (3, 1)
    with pytest.raises(ValueError, match="group_sort sorts pairs of channels, got width 3; allowed: even widths"):
        model(width=3, activation="group_sort").check(shape)
    with pytest.raises(ValidationError, match="activation"):
        model(activation="sort")  # type: ignore[arg-type]


def test_every_hidden_activation_is_the_one_asked_for() -> None:
    modules = list(MLP(width=4, activation="full_sort").build((2,)).discriminator.modules())
    assert sum(isinstance(module, GroupSort) for module in modules) == 3
    assert not any(isinstance(module, nn.ReLU) for module in modules)
