"""Weighted layers, their kernels as matrices, and the input shapes found by one forward pass."""

from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn

from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.estimation.layers import as_matrix, input_shapes, raw_weight, reshaped_weight, weighted_layers


def net() -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            block=nn.Sequential(OrderedDict(conv=nn.Conv2d(1, 2, 3, stride=2), norm=nn.BatchNorm2d(2))),
            deconv=nn.ConvTranspose2d(2, 3, 2),
            flatten=nn.Flatten(start_dim=2),
            across=nn.Conv1d(3, 2, 1),
            output=nn.Linear(9, 1),
        )
    )


def test_weighted_layers_are_linear_and_convolution_layers_in_order() -> None:
    names = ["block.conv", "deconv", "across", "output"]
    assert [name for name, _ in weighted_layers(net())] == names
    assert [name for name, _ in weighted_layers(SpectralNormalization().wrap(net(), (1, 5, 5)))] == names


def test_a_kernel_is_reshaped_to_output_channels_by_the_rest() -> None:
    kernel = torch.arange(24.0).view(2, 3, 2, 2)
    assert torch.equal(as_matrix(kernel), torch.arange(24.0).view(2, 12))
    stored = kernel.transpose(0, 1).contiguous()
    assert torch.equal(as_matrix(stored, transposed=True), torch.arange(24.0).view(2, 12))


def test_raw_and_effective_weight() -> None:
    layer = nn.Linear(3, 2)
    assert raw_weight(layer) is layer.weight
    weight = layer.weight
    SpectralNormalization().wrap(layer, (3,))
    assert raw_weight(layer) is weight
    assert torch.equal(reshaped_weight(layer), layer.weight)
    assert not torch.equal(reshaped_weight(layer), weight)


def test_input_shapes_are_those_of_the_forward_pass() -> None:
    shapes = input_shapes(net(), (1, 5, 5))
    assert shapes == {
        "block.conv": (1, 5, 5),
        "deconv": (2, 2, 2),
        "across": (3, 9),
        "output": (2, 9),
    }


def test_a_convolution_of_a_map_without_a_batch_has_the_shape_of_the_map() -> None:
    class Each(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(1, 2, 3)

        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([self.layer(one) for one in x])

    assert input_shapes(Each(), (1, 4, 5)) == {"layer": (1, 4, 5)}


def test_input_shapes_does_not_change_modes_or_batch_statistics() -> None:
    ours = net().train()
    ours.get_submodule("deconv").eval()
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    input_shapes(ours, (1, 5, 5))
    assert [name for name, module in ours.named_modules() if not module.training] == ["deconv"]
    assert all(torch.equal(value, before[name]) for name, value in ours.state_dict().items())


def test_hooks_are_removed_after_a_forward_pass_that_fails() -> None:
    ours = net()
    with pytest.raises(RuntimeError):
        input_shapes(ours, (7, 5, 5))
    assert not any(module._forward_pre_hooks for module in ours.modules())
