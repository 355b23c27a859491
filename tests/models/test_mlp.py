"""MLP: layer sizes, shapes, norm slots and initialisation."""

import pytest
import torch
from torch import nn

from lipschitz.models.mlp import MLP


def test_three_hidden_layers_by_default() -> None:
    networks = MLP(width=512).build((2,))
    for net, outputs in ((networks.generator, 2), (networks.discriminator, 1)):
        sizes = [(m.in_features, m.out_features) for m in net.modules() if isinstance(m, nn.Linear)]
        assert sizes == [(2, 512), (512, 512), (512, 512), (512, outputs)]


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_shapes(dimension: int) -> None:
    networks = MLP(width=8, depth=1, latent=3).build((dimension,))
    points = networks.generator(torch.randn(6, 3))
    assert networks.latent == 3
    assert points.shape == (6, dimension)
    assert networks.discriminator(points).shape == (6, 1)


def test_every_block_has_an_empty_norm_slot() -> None:
    networks = MLP(activation="leaky_relu").build((2,))
    for net in (networks.generator, networks.discriminator):
        for block in net.get_submodule("blocks").children():
            assert [name for name, _ in block.named_children()] == ["linear", "norm", "activation"]
            assert type(block.get_submodule("norm")) is nn.Identity
            assert type(block.get_submodule("activation")) is nn.LeakyReLU


def test_images_are_refused() -> None:
    for refuse in (MLP().check, MLP().build):
        with pytest.raises(ValueError, match=r"mlp takes points, not images \(1, 8, 8\); allowed: dcgan, auto"):
            refuse((1, 8, 8))


def test_initialisation_preserves_the_scale_of_activations() -> None:
    torch.manual_seed(0)
    net = MLP(depth=8).build((128,)).discriminator
    with torch.no_grad():
        hidden = net.get_submodule("blocks")(torch.randn(256, 128))
    # He initialisation preserves the mean square of the layers' inputs in expectation.
    assert 0.5 < hidden.square().mean() < 2
