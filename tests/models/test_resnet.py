"""ResNet against Tables 4 and 5 and Fig. 8 of SN-GAN, with parameter counts by hand."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from lipschitz.constraints.base import constrain
from lipschitz.constraints.batch_normalization import BatchNormalization
from lipschitz.estimation.float64_copy import float64_copy
from lipschitz.estimation.layers import input_shapes
from lipschitz.estimation.lower_bound.search import lower_bound
from lipschitz.estimation.upper_bound.composition import upper_bound
from lipschitz.estimation.upper_bound.layer_bounds import layer_bounds
from lipschitz.models.residual import ResidualBlock, SelfAttention, SumPool, down_block, first_block, up_block
from lipschitz.models.resnet import ResNet


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def conv(kernel: int, inputs: int, outputs: int) -> int:
    return outputs * (inputs * kernel**2 + 1)


def blocks_of(net: nn.Module) -> list[nn.Module]:
    return list(net.get_submodule("blocks").children())


def test_the_discriminator_of_table_4() -> None:
    net = ResNet().build((3, 32, 32)).discriminator
    expected = [
        conv(3, 3, 128) + conv(3, 128, 128) + conv(1, 3, 128),
        2 * conv(3, 128, 128) + conv(1, 128, 128),
        2 * conv(3, 128, 128),
        2 * conv(3, 128, 128),
    ]
    assert [count(block) for block in blocks_of(net)] == expected
    assert count(net) == sum(expected) + 128 + 1 == 1_053_825


def test_the_discriminator_of_table_5() -> None:
    net = ResNet().build((3, 48, 48)).discriminator
    expected = [conv(3, 3, 64) + conv(3, 64, 64) + conv(1, 3, 64)]
    for inputs in (64, 128, 256, 512):
        expected.append(conv(3, inputs, inputs) + conv(3, inputs, 2 * inputs) + conv(1, inputs, 2 * inputs))
    assert [count(block) for block in blocks_of(net)] == expected
    assert count(net) == sum(expected) + 1024 + 1


def test_the_networks_of_the_released_code_for_64x64() -> None:
    networks = ResNet().build((3, 64, 64))
    assert (count(networks.discriminator), count(networks.generator)) == (10_141_441, 12_220_675)
    explicit = ResNet(layout="snresnet_64").build((3, 64, 64))
    assert count(explicit.discriminator) == 10_141_441
    assert networks.generator(torch.randn(2, 128)).shape == (2, 3, 64, 64)
    for size in (40, 128):
        with pytest.raises(ValueError, match=f"no published layout for {size}x{size}; allowed: up to 32x32, 48x48, 64"):
            ResNet().check((3, size, size))
        ResNet(layout="table_4").check((3, size, size))


def test_the_last_bias_and_the_pooling_are_fields() -> None:
    plain = ResNet(width=4).build_discriminator((1, 16, 16))
    without = ResNet(width=4, output_bias=False, pooling="mean").build_discriminator((1, 16, 16))
    plain.load_state_dict(without.state_dict(), strict=False)
    assert "output.bias" not in dict(without.named_parameters())
    assert count(plain) - count(without) == 1
    x = torch.randn(3, 1, 16, 16)
    # The last map has 4x4 pixels, the bias starts at zero, and the dense layer is linear.
    assert_close(plain(x), 16 * without(x))


@pytest.mark.parametrize(("size", "widths"), [(32, [256, 256, 256, 256]), (48, [512, 256, 128, 64])])
def test_the_generators_of_tables_4_and_5(size: int, widths: list[int]) -> None:
    networks = ResNet().build((3, size, size))
    net = networks.generator
    assert networks.latent == 128
    expected = []
    for inputs, outputs in pairwise(widths):
        norms = 2 * inputs + 2 * outputs
        expected.append(norms + conv(3, inputs, outputs) + conv(3, outputs, outputs) + conv(1, inputs, outputs))
    assert [count(block) for block in blocks_of(net)] == expected
    dense = widths[0] * (size // 8) ** 2 * 129
    assert count(net) == dense + sum(expected) + 2 * widths[-1] + conv(3, widths[-1], 3)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 24, 24), (3, 32, 32), (3, 48, 48)])
def test_shapes(shape: tuple[int, int, int]) -> None:
    networks = ResNet(width=2, latent=7).build(shape)
    images = networks.generator(torch.randn(4, 7))
    assert images.shape == (4, *shape)
    assert images.abs().max() <= 1
    assert networks.discriminator(images).shape == (4, 1)


def test_a_discriminator_block_by_hand() -> None:
    torch.manual_seed(0)
    block = down_block(2, 3, "relu", down=True)
    x = torch.randn(2, 2, 4, 4)
    first, second = block.first.get_submodule("conv"), block.second.get_submodule("conv")
    branch = nn.functional.avg_pool2d(second(first(x.relu()).relu()), 2)
    shortcut = nn.functional.avg_pool2d(block.shortcut.get_submodule("conv")(x), 2)
    assert_close(block(x), branch + shortcut)
    assert isinstance(down_block(2, 2, "relu", down=False).shortcut, nn.Identity)


def test_the_first_block_by_hand() -> None:
    torch.manual_seed(0)
    block = first_block(1, 2, "relu")
    x = torch.randn(2, 1, 4, 4)
    first, second = block.first.get_submodule("conv"), block.second.get_submodule("conv")
    branch = nn.functional.avg_pool2d(second(first(x).relu()), 2)
    shortcut = block.shortcut.get_submodule("conv")(nn.functional.avg_pool2d(x, 2))
    assert_close(block(x), branch + shortcut)
    plain = ResNet(width=2, special_first_block=False).build_discriminator((1, 8, 8))
    special = ResNet(width=2).build_discriminator((1, 8, 8))
    assert [type(next(iter(blocks_of(net)[0].first.children()))) for net in (plain, special)] == [  # type: ignore[union-attr]
        nn.Identity,
        nn.Conv2d,
    ]


def test_a_generator_block_by_hand() -> None:
    torch.manual_seed(0)
    block = up_block(2, 3, None).eval()
    x = torch.randn(2, 2, 3, 3)
    first, second = block.first.get_submodule("conv"), block.second.get_submodule("conv")
    repeated = x.relu().repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    # In eval mode, fresh batch normalization divides by √(1 + ε).
    branch = second((first(repeated / math.sqrt(1 + 1e-5)) / math.sqrt(1 + 1e-5)).relu())
    shortcut = block.shortcut.get_submodule("conv")(x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3))
    assert_close(block(x), branch + shortcut)


def test_glorot_initialisation_by_hand() -> None:
    torch.manual_seed(0)
    net = ResNet().build_discriminator((3, 32, 32))
    branch, shortcut = (net.get_submodule(f"blocks.1.{part}.conv") for part in ("second", "shortcut"))
    assert isinstance(branch.weight, Tensor)
    assert isinstance(shortcut.weight, Tensor)
    limit = math.sqrt(6 / (2 * 128 * 9))
    assert branch.weight.abs().max().item() == pytest.approx(math.sqrt(2) * limit, rel=1e-3)
    assert shortcut.weight.abs().max().item() == pytest.approx(math.sqrt(6 / 256), rel=1e-3)
    assert all((value == 0).all() for name, value in net.named_parameters() if name.endswith("bias"))


def test_discriminator_blocks_have_an_empty_norm_slot_before_every_activation() -> None:
    net = ResNet(width=2).build_discriminator((1, 16, 16))
    slots = [name for name, module in net.named_modules() if name.endswith("norm")]
    assert slots == ["blocks.0.second.norm"] + [
        f"blocks.{index}.{part}.norm" for index in (1, 2, 3) for part in ("first", "second")
    ]
    assert all(type(net.get_submodule(slot)) is nn.Identity for slot in slots)
    constrain(net, [BatchNormalization()], (1, 16, 16))
    assert all(isinstance(net.get_submodule(slot), nn.BatchNorm2d) for slot in slots)


def test_self_attention_against_a_loop_over_positions() -> None:
    torch.manual_seed(0)
    layer = SelfAttention(16).double()
    with torch.no_grad():
        layer.gamma.fill_(0.7)
    x = torch.randn(1, 16, 2, 3, dtype=torch.float64)
    flat = x[0].flatten(1)
    f, g, h = (part.weight.flatten(1) @ flat for part in (layer.key, layer.query, layer.value))
    expected = torch.empty_like(flat)
    for j in range(6):
        s = torch.stack([f[:, i] @ g[:, j] for i in range(6)])
        beta = s.exp() / s.exp().sum()
        o = layer.output.weight.flatten(1) @ sum(beta[i] * h[:, i] for i in range(6))
        expected[:, j] = flat[:, j] + 0.7 * o
    assert_close(layer(x)[0].flatten(1), expected)


def test_self_attention_as_released_pools_keys_and_values() -> None:
    torch.manual_seed(0)
    layer = SelfAttention(16, as_released=True).double()
    assert (layer.key.out_channels, layer.query.out_channels, layer.value.out_channels) == (2, 2, 8)
    with torch.no_grad():
        layer.gamma.fill_(0.7)
    x = torch.randn(1, 16, 4, 2, dtype=torch.float64)
    query = layer.query(x)[0].flatten(1)
    # Two windows of 2x2 pixels are left of a map of 4x2.
    key, value = (
        torch.stack([conv(x)[0, :, r : r + 2].amax((1, 2)) for r in (0, 2)], 1) for conv in (layer.key, layer.value)
    )
    expected = torch.empty(16, 8, dtype=torch.float64)
    for j in range(8):
        s = torch.stack([query[:, j] @ key[:, i] for i in range(2)])
        beta = s.exp() / s.exp().sum()
        expected[:, j] = x[0].flatten(1)[:, j] + 0.7 * layer.output.weight.flatten(1) @ (value @ beta)
    assert_close(layer(x)[0].flatten(1), expected)
    (found,) = (
        module
        for module in ResNet(width=8, attention=8, attention_layout="code").build_discriminator((1, 16, 16)).modules()
        if isinstance(module, SelfAttention)
    )
    assert found.value.out_channels == 4


def test_self_attention_is_initially_the_identity_and_inserted_at_the_configured_size() -> None:
    x = torch.randn(2, 8, 4, 4)
    assert torch.equal(SelfAttention(8)(x), x)
    networks = ResNet(width=8, attention=16).build((3, 32, 32))
    found = [[type(block) for block in blocks_of(net)] for net in networks[:2]]
    generator = [ResidualBlock, ResidualBlock, SelfAttention, ResidualBlock]
    assert found == [generator, [ResidualBlock, SelfAttention, *[ResidualBlock] * 3]]
    attention = blocks_of(networks.discriminator)[1]
    assert isinstance(attention, SelfAttention)
    assert (attention.key.out_channels, attention.output.out_channels) == (1, 8)


def test_the_upper_bound_is_finite_without_attention_and_infinite_with_it() -> None:
    shape = (1, 8, 8)
    torch.manual_seed(0)
    with float64_copy(ResNet(width=2).build_discriminator(shape)) as net:
        upper = upper_bound(net, shape, layer_bounds(net, input_shapes(net, shape)).operators)
        points = torch.randn(8, *shape, dtype=torch.float64)
        lower = lower_bound(net, points, torch.Generator().manual_seed(0)).value
    assert 0 < lower <= upper.constant < math.inf
    with float64_copy(ResNet(width=8, attention=2).build_discriminator(shape)) as net:
        (attention,) = (module for module in net.modules() if isinstance(module, SelfAttention))
        for gamma, is_finite in ((0.0, True), (0.1, False)):
            attention.gamma.fill_(gamma)
            upper = upper_bound(net, shape, layer_bounds(net, input_shapes(net, shape)).operators)
            assert (upper.constant < math.inf) == is_finite
            assert any("attention" in reason for reason in upper.reasons) == (not is_finite)


def test_global_sum_pooling() -> None:
    x = torch.arange(24.0).view(2, 3, 2, 2)
    assert torch.equal(SumPool()(x)[1, 2], torch.tensor(20.0 + 21 + 22 + 23))


@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        (ResNet(), (2,), r"resnet takes images, not points \(2,\); allowed: mlp, auto"),
        (ResNet(), (1, 28, 28), "square images whose size is a multiple of 8, not 28x28"),
        (ResNet(layout="table_5"), (3, 40, 40), "square images whose size is a multiple of 16, not 40x40"),
        (ResNet(attention=32), (3, 32, 32), "attention on maps of 32x32 pixels, .* allowed: 8, 16"),
        (
            ResNet(activation="group_sort", special_first_block=False, width=2),
            (3, 32, 32),
            "group_sort sorts pairs of channels, got width 3",
        ),
        (ResNet(activation="group_sort", width=3), (3, 32, 32), "group_sort sorts pairs of channels, got width 3"),
    ],
)
def test_unsupported_shapes_and_settings_are_refused(model: ResNet, shape: tuple[int, ...], message: str) -> None:
    for refuse in (model.check, model.build):
        with pytest.raises(ValueError, match=message):
            refuse(shape)
