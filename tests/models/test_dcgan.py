"""DCGAN against Table 3 of SN-GAN, with parameter counts by hand."""

import pytest
import torch
from torch import Tensor, nn

from lipschitz.models.activations import NEGATIVE_SLOPE
from lipschitz.models.dcgan import DCGAN

DISCRIMINATOR = [
    # kernel, stride, in, out, parameters = out (in k k + 1)
    (3, 1, 3, 64, 1_792),
    (4, 2, 64, 64, 65_600),
    (3, 1, 64, 128, 73_856),
    (4, 2, 128, 128, 262_272),
    (3, 1, 128, 256, 295_168),
    (4, 2, 256, 256, 1_048_832),
    (3, 1, 256, 512, 1_180_160),
]
GENERATOR = [
    # in, out, parameters of the deconvolution = out (16 in + 1), of batch normalisation = 2 out
    (512, 256, 2_097_408, 512),
    (256, 128, 524_416, 256),
    (128, 64, 131_136, 128),
]


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture(scope="module", params=[32, 48])
def size(request: pytest.FixtureRequest) -> int:
    return request.param


def test_the_discriminator_of_table_3(size: int) -> None:
    net = DCGAN().build((3, size, size)).discriminator
    convs = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    found = [(c.kernel_size[0], c.stride[0], c.in_channels, c.out_channels, count(c)) for c in convs]
    assert found == DISCRIMINATOR
    dense = net.get_submodule("output")
    assert isinstance(dense, nn.Linear)
    assert (dense.in_features, dense.out_features) == {32: (8_192, 1), 48: (18_432, 1)}[size]
    assert count(net) == {32: 2_935_873, 48: 2_946_113}[size]
    leaks = [module.negative_slope for module in net.modules() if isinstance(module, nn.LeakyReLU)]
    assert leaks == [0.1] * 7


def test_the_generator_of_table_3(size: int) -> None:
    networks = DCGAN().build((3, size, size))
    net, smallest = networks.generator, size // 8
    assert networks.latent == 128
    dense = net.get_submodule("dense")
    assert isinstance(dense, nn.Linear)
    assert (dense.in_features, dense.out_features) == (128, smallest * smallest * 512)
    blocks = list(net.get_submodule("blocks").children())
    found = [(b.deconv.in_channels, b.deconv.out_channels, count(b.deconv), count(b.norm)) for b in blocks]
    assert found == GENERATOR
    assert all((b.deconv.kernel_size, b.deconv.stride) == ((4, 4), (2, 2)) for b in blocks)
    last = net.get_submodule("output")
    assert isinstance(last, nn.Conv2d)
    assert (last.kernel_size, last.in_channels, last.out_channels) == ((3, 3), 64, 3)
    assert count(net) == {32: 3_812_355, 48: 5_133_315}[size]


def test_the_networks_of_the_released_code() -> None:
    torch.manual_seed(0)
    networks = DCGAN(layout="code").build((3, 32, 32))
    net, generator = networks.discriminator, networks.generator
    convs = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    assert [conv.out_channels for conv in convs] == [64, 128, 128, 256, 256, 512, 512]
    assert [conv.stride[0] for conv in convs] == [1, 2, 1, 2, 1, 2, 1]
    assert count(net) == 5_860_865
    assert {module.negative_slope for module in net.modules() if isinstance(module, nn.LeakyReLU)} == {0.2}
    norm = generator.get_submodule("norm")
    assert isinstance(norm, nn.BatchNorm1d)
    assert (norm.num_features, count(generator)) == (8_192, 3_812_355 + 2 * 8_192)
    weights = [m.weight for n in networks[:2] for m in n.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert all(weight.std().item() == pytest.approx(0.02, rel=0.05) for weight in weights)
    assert generator(torch.randn(2, 128)).shape == (2, 3, 32, 32)
    he = DCGAN(layout="code", init="he", width=16).build_discriminator((3, 32, 32)).get_submodule("blocks.5.conv")
    assert isinstance(he.weight, Tensor)
    assert he.weight.std().item() == pytest.approx((2 / 1.04 / (64 * 16)) ** 0.5, rel=0.02)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 16), (5, 24, 24), (3, 32, 32)])
def test_shapes(shape: tuple[int, int, int]) -> None:
    networks = DCGAN(width=2, latent=7).build(shape)
    images = networks.generator(torch.randn(4, 7))
    assert images.shape == (4, *shape)
    assert images.abs().max() <= 1
    assert networks.discriminator(images).shape == (4, 1)


def test_every_discriminator_block_has_an_empty_norm_slot() -> None:
    networks = DCGAN(width=4).build((1, 8, 8))
    for block in networks.discriminator.get_submodule("blocks").children():
        assert [name for name, _ in block.named_children()] == ["conv", "norm", "activation"]
        assert type(block.get_submodule("norm")) is nn.Identity
    for block in networks.generator.get_submodule("blocks").children():
        assert type(block.get_submodule("norm")) is nn.BatchNorm2d
    allowed = (nn.Sequential, nn.Conv2d, nn.Identity, nn.LeakyReLU, nn.Flatten, nn.Linear)
    assert all(isinstance(module, allowed) for module in networks.discriminator.modules())


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2,), r"dcgan takes images, not points \(2,\); allowed: mlp, auto"),
        ((1, 28, 28), "square images whose size is a multiple of 8, not 28x28"),
        ((1, 32, 16), "square images whose size is a multiple of 8, not 32x16"),
    ],
)
def test_unsupported_shapes_are_refused(shape: tuple[int, ...], message: str) -> None:
    for refuse in (DCGAN().check, DCGAN().build):
        with pytest.raises(ValueError, match=message):
            refuse(shape)


@pytest.mark.parametrize("name", ["leaky_relu", "relu"])
def test_initialisation_preserves_the_scale_of_activations(name: str) -> None:
    torch.manual_seed(0)
    net = DCGAN(width=16, activation=name).build((3, 32, 32)).discriminator
    scales: list[float] = []

    def remember(_: nn.Module, __: object, output: Tensor) -> None:
        scales.append(float(output.square().mean().sqrt()))

    for block in net.get_submodule("blocks").children():
        block.register_forward_hook(remember)
    net.register_forward_hook(remember)
    with torch.no_grad():
        net(torch.randn(32, 3, 32, 32))
    assert len(scales) == 8
    assert all(0.3 < scale < 3 for scale in scales), scales


def test_he_initialisation_by_hand() -> None:
    torch.manual_seed(0)
    networks = DCGAN(width=16).build((3, 32, 32))
    conv = networks.discriminator.get_submodule("blocks.5.conv")
    deconv = networks.generator.get_submodule("blocks.0.deconv")
    assert isinstance(conv.weight, Tensor)
    assert isinstance(deconv.weight, Tensor)
    # Eq. 15: std = sqrt(2 / ((1 + a²) fan-in)), where a is the negative slope.
    assert conv.weight.std().item() == pytest.approx((2 / (1 + NEGATIVE_SLOPE**2) / (64 * 16)) ** 0.5, rel=0.02)
    assert deconv.weight.std().item() == pytest.approx((2 / (128 * 16)) ** 0.5, rel=0.02)
    for net in (networks.generator, networks.discriminator):
        assert all((value == 0).all() for name, value in net.named_parameters() if name.endswith("conv.bias"))
