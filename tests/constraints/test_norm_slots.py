"""The norm slots of a network: finding empty ones, their input shapes, and filling them."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

from lipschitz.constraints.base import Refusal
from lipschitz.constraints.norm_slots import fill_norm_slots, freeze_gain, slot_shapes
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.mlp import MLP


def block(inputs: int, outputs: int) -> nn.Module:
    conv = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
    return nn.Sequential(OrderedDict(conv=conv, norm=nn.Identity(), act=nn.ReLU()))


def net() -> nn.Module:
    return nn.Sequential(
        OrderedDict(
            first=block(3, 4), second=block(4, 6), other=nn.Identity(), flatten=nn.Flatten(), output=nn.Linear(24, 1)
        )
    )


class Unused(nn.Module):
    """A block whose forward pass does not use its norm slot."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(2, 2), nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x)


class Recorded(nn.Module):
    """A norm layer that records the shape that it was built for."""

    def __init__(self, shape: torch.Size) -> None:
        super().__init__()
        self.shape, self.scale = shape, nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale


def test_slot_shapes_exclude_the_batch() -> None:
    assert slot_shapes(net(), (3, 8, 8)) == {"first.norm": (4, 4, 4), "second.norm": (6, 2, 2)}
    assert slot_shapes(net().to("meta"), (3, 8, 8)) == {"first.norm": (4, 4, 4), "second.norm": (6, 2, 2)}


def test_every_block_of_the_models_has_a_slot() -> None:
    mlp, dcgan = MLP(width=6).build((2,)).discriminator, DCGAN(width=2).build((1, 8, 8)).discriminator
    assert slot_shapes(mlp, (2,)) == {f"blocks.{i}.norm": (6,) for i in range(3)}
    assert [shape[0] for shape in slot_shapes(dcgan, (1, 8, 8)).values()] == [2, 2, 4, 4, 8, 8, 16]


def test_slot_shapes_does_not_change_the_network() -> None:
    ours = net()
    ours.second.eval()
    modes = [module.training for module in ours.modules()]
    state = {name: value.clone() for name, value in ours.state_dict().items()}
    rng = torch.get_rng_state()
    slot_shapes(ours, (3, 8, 8))
    assert [module.training for module in ours.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in ours.state_dict().items())
    assert torch.equal(torch.get_rng_state(), rng)
    assert not any(module._forward_pre_hooks for module in ours.modules())


def test_slots_are_filled_in_place_and_names_are_kept() -> None:
    ours = net().double()
    ours.second.eval()
    before = [name for name, _ in ours.named_parameters()]
    fill_norm_slots("method", ours, (3, 8, 8), Recorded)
    assert [list(dict(block.named_children())) for block in (ours.first, ours.second)] == [["conv", "norm", "act"]] * 2
    assert [name for name, _ in ours.named_parameters() if not name.endswith("scale")] == before
    assert isinstance(ours.other, nn.Identity), "only a module called norm is a slot"
    for block, shape, training in ((ours.first, (4, 4, 4), True), (ours.second, (6, 2, 2), False)):
        assert block.norm.shape == shape
        assert block.norm.training is training
        assert block.norm.scale.dtype == torch.float64


def test_new_modules_are_on_the_networks_device() -> None:
    ours = net().to("meta")
    fill_norm_slots("method", ours, (3, 8, 8), Recorded)
    assert ours.first.norm.scale.is_meta


def test_filled_slots_are_kept() -> None:
    ours = net()
    ours.first.norm = kept = nn.BatchNorm2d(4)
    fill_norm_slots("method", ours, (3, 8, 8), Recorded)
    assert ours.first.norm is kept
    assert isinstance(ours.second.norm, Recorded)


@pytest.mark.parametrize("ours", [nn.Linear(2, 1), Unused()], ids=["no slot", "an unused slot"])
def test_a_network_without_an_empty_slot_is_refused(ours: nn.Module) -> None:
    with pytest.raises(Refusal, match="method fills the 'norm' slots of blocks") as refusal:
        fill_norm_slots("method", ours, (2,), Recorded)
    assert "\n" not in str(refusal.value)


def test_a_frozen_gain_stays_one_after_requires_grad() -> None:
    for norm in (nn.GroupNorm(1, 3), nn.BatchNorm2d(3)):
        freeze_gain(norm)
        norm.requires_grad_(True)
        assert [name for name, _ in norm.named_parameters()] == ["bias"]
        assert torch.equal(norm.weight, torch.ones(3))
        assert torch.equal(norm.state_dict()["weight"], torch.ones(3))
