"""Instance normalization against torch's instance_norm, and slots where it would be constant."""

import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor, nn
from torch.nn import functional as F

from lipschitz.constraints.base import Refusal, constrain
from lipschitz.constraints.instance_normalization import InstanceNormalization
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.mlp import MLP


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def discriminator(size: int = 16) -> nn.Module:
    torch.manual_seed(0)
    return DCGAN(width=2).build_discriminator((1, size, size)).double()


@pytest.mark.parametrize("gain", [False, True])
def test_it_is_initially_torchs_instance_norm(gain: bool) -> None:
    norm = InstanceNormalization(gain=gain).wrap(discriminator(), (1, 16, 16)).blocks[0].norm
    x = 3 + 2 * draw(5, 2, 16, 16)
    assert_allclose(norm(x).detach(), F.instance_norm(x), rtol=1e-12, atol=1e-14)
    assert {name for name, _ in norm.named_parameters()} == ({"weight", "bias"} if gain else {"bias"})
    with torch.no_grad():
        norm.bias.copy_(torch.tensor([1.0, -2.0]))
    assert_allclose(norm(x).mean(dim=(0, 2, 3)).detach(), [1, -2], rtol=1e-12)


def test_slots_of_one_position_stay_empty() -> None:
    net = InstanceNormalization().wrap(discriminator(8), (1, 8, 8))
    filled = [isinstance(block.norm, nn.GroupNorm) for block in net.blocks]
    # 8x8, 4x4, 4x4, 2x2 and 2x2 maps, and then single positions.
    assert filled == [True] * 5 + [False] * 2


def test_points_are_refused() -> None:
    with pytest.raises(Refusal, match=r"every 'norm' slot has one position; allowed: convolutions on images"):
        InstanceNormalization().wrap(MLP(width=4).build_discriminator((2,)), (2,))


def test_it_is_combined_with_spectral_normalization() -> None:
    net = constrain(discriminator(), [SpectralNormalization(), InstanceNormalization()], (1, 16, 16))
    assert isinstance(net.blocks[0].norm, nn.GroupNorm)
    assert net(draw(3, 1, 16, 16)).shape == (3, 1)
