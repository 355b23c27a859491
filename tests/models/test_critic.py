"""The published critic: layer sizes and torch's default initialisation."""

import pytest
import torch
from torch import nn

from lipschitz.models.base import PairModel
from lipschitz.models.critic import Critic
from lipschitz.models.group_sort import GroupSort


def sizes(net: nn.Module) -> list[tuple[int, int]]:
    return [(m.in_features, m.out_features) for m in net.modules() if isinstance(m, nn.Linear)]


@pytest.mark.parametrize(("dimension", "width"), [(1, 128), (2, 128), (64, 128), (65, 130), (128, 256)])
def test_default_layer_sizes_are_the_published_ones(dimension: int, width: int) -> None:
    net = Critic().build_discriminator((dimension,))
    assert sizes(net) == [(dimension, width), (width, width), (width, 1)]
    assert net(torch.randn(5, dimension)).shape == (5, 1)


def test_width_and_depth_are_configurable() -> None:
    assert sizes(Critic(width=6, depth=1).build_discriminator((3,))) == [(3, 6), (6, 1)]
    assert sizes(Critic(width=6, depth=3).build_discriminator((300,))) == [(300, 6), (6, 6), (6, 6), (6, 1)]


def test_initialisation_is_torchs_default() -> None:
    torch.manual_seed(3)
    ours = Critic().build_discriminator((5,))
    torch.manual_seed(3)
    theirs = nn.Sequential(nn.Linear(5, 128), nn.Linear(128, 128), nn.Linear(128, 1))
    pairs = list(zip(ours.parameters(), theirs.parameters(), strict=True))
    assert len(pairs) == 6
    assert all(torch.equal(mine, yours) for mine, yours in pairs)
    for layer in (module for module in ours.modules() if isinstance(module, nn.Linear)):
        bound = layer.in_features**-0.5
        for values in (layer.weight, layer.bias):
            assert values.abs().max() <= bound
        assert layer.weight.abs().max() > 0.9 * bound


@pytest.mark.parametrize(("name", "kind"), [("relu", nn.ReLU), ("leaky_relu", nn.LeakyReLU), ("full_sort", GroupSort)])
def test_every_block_has_a_norm_slot_and_the_configured_activation(name: str, kind: type[nn.Module]) -> None:
    net = Critic(activation=name).build_discriminator((2,))  # type: ignore[arg-type]
    blocks = list(net.get_submodule("blocks").children())
    assert len(blocks) == 2
    for block in blocks:
        assert [child for child, _ in block.named_children()] == ["linear", "norm", "activation"]
        assert type(block.get_submodule("norm")) is nn.Identity
        assert type(block.get_submodule("activation")) is kind
    if isinstance(activation := blocks[0].get_submodule("activation"), GroupSort):
        assert activation.group_size is None, "full_sort sorts all channels"


def test_relu_is_the_default() -> None:
    assert Critic().activation == "relu"
    assert Critic().label() == "critic"


def test_it_has_no_generator() -> None:
    assert not isinstance(Critic(), PairModel)
    assert not hasattr(Critic(), "build")


def test_images_and_odd_widths_with_group_sort_are_refused() -> None:
    for refuse in (Critic().check, Critic().build_discriminator):
        with pytest.raises(ValueError, match=r"critic takes points, not images \(1, 8, 8\); allowed: \(d,\)"):
            refuse((1, 8, 8))
    Critic(activation="group_sort").check((3,))
    with pytest.raises(ValueError, match="group_sort sorts pairs of channels, got width 5; allowed: even widths"):
        Critic(width=5, activation="group_sort").check((3,))
