"""Weight clipping: w <- clip(w, -c, c) for the weights of Linear and convolution layers."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from pydantic import ValidationError
from torch import nn

from lipschitz.constraints.base import constrain
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.constraints.weight_clipping import WeightClipping
from lipschitz.estimation.layers import raw_weight, weighted_layers
from lipschitz.models.conditional import ConditionalBatchNorm2d
from lipschitz.models.residual import SelfAttention


def net() -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(2, 3, 3),
            norm=nn.BatchNorm2d(3),
            deconv=nn.ConvTranspose2d(3, 2, 2),
            layer=nn.LayerNorm(4),
            flatten=nn.Flatten(),
            output=nn.Linear(32, 1, bias=False),
        )
    ).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_()
    return net


def arrays(net: nn.Module) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy().copy() for name, value in net.named_parameters()}


@pytest.mark.parametrize("biases", [True, False])
def test_weights_and_biases_are_clipped_but_not_normalization_layers(biases: bool) -> None:
    ours = net()
    before = arrays(ours)
    WeightClipping(c=0.3, biases=biases).project(ours)
    clipped = {"conv.weight", "deconv.weight", "output.weight"} | ({"conv.bias", "deconv.bias"} if biases else set())
    for name, value in arrays(ours).items():
        expected = np.clip(before[name], -0.3, 0.3) if name in clipped else before[name]
        assert_array_equal(value, expected, err_msg=name)
        assert np.abs(before[name]).max() > 0.3, "the test needs values outside the bounds"


def test_gamma_of_attention_and_other_free_factors_are_clipped() -> None:
    ours = nn.Sequential(SelfAttention(4), nn.PReLU(), nn.GroupNorm(2, 4), ConditionalBatchNorm2d(4, 3))
    with torch.no_grad():
        ours[0].gamma.fill_(-5)
        ours[3].gain.fill_(5)
    WeightClipping(c=0.3, biases=False).project(ours)
    assert [ours[0].gamma.item(), ours[1].weight.item()] == pytest.approx([-0.3, 0.25])
    assert ours[0].key.weight.abs().max() <= 0.3
    assert (ours[2].weight == 1).all()
    assert (ours[3].gain == 5).all()


def test_clipping_is_idempotent() -> None:
    ours = net()
    WeightClipping(c=0.3).project(ours)
    once = arrays(ours)
    WeightClipping(c=0.3).project(ours)
    for name, value in arrays(ours).items():
        assert_array_equal(value, once[name])


def test_values_within_the_bounds_stay_bit_identical() -> None:
    layer = nn.Linear(5, 1, bias=False)
    layer.weight.data = torch.tensor([[-0.5, -0.1, 0.02, 0.1, 0.5]])
    WeightClipping(c=0.1).project(layer)
    assert torch.equal(layer.weight, torch.tensor([[-0.1, -0.1, 0.02, 0.1, 0.1]]))


def test_the_raw_weight_of_a_reparametrised_layer_is_clipped() -> None:
    ours = SpectralNormalization().wrap(net(), (2, 4, 4))
    before = {name: raw_weight(layer).detach().clone() for name, layer in weighted_layers(ours)}
    WeightClipping(c=0.3).project(ours)
    for name, layer in weighted_layers(ours):
        assert torch.equal(raw_weight(layer), before[name].clamp(-0.3, 0.3))


@pytest.mark.parametrize("biases", [True, False])
def test_initial_clips_the_initial_weights(biases: bool) -> None:
    ours, expected, untouched = net(), net(), arrays(net())
    constrain(ours, [WeightClipping(c=0.3, biases=biases, initial=True)], (2, 4, 4))
    WeightClipping(c=0.3, biases=biases).project(expected)
    for name, value in arrays(ours).items():
        assert_array_equal(value, arrays(expected)[name], err_msg=name)
    assert np.abs(arrays(ours)["conv.weight"]).max() == 0.3
    assert (np.abs(arrays(ours)["conv.bias"]).max() <= 0.3) == biases
    assert_array_equal(arrays(ours)["norm.weight"], untouched["norm.weight"])


def test_initial_weights_are_unchanged_by_default() -> None:
    ours, before = net(), arrays(net())
    assert constrain(ours, [WeightClipping(c=0.3)], (2, 4, 4)) is ours
    for name, value in arrays(ours).items():
        assert_array_equal(value, before[name])


def test_initial_clipping_keeps_the_parameter_and_values_within_the_bounds() -> None:
    layer = nn.Linear(5, 1, bias=False)
    layer.weight.data = torch.tensor([[-0.5, -0.1, 0.02, 0.1, 0.5]])
    parameter = layer.weight
    constrain(layer, [WeightClipping(c=0.1, initial=True)], (5,))
    assert torch.equal(layer.weight, torch.tensor([[-0.1, -0.1, 0.02, 0.1, 0.1]]))
    assert layer.weight is parameter
    assert layer.weight.requires_grad
    assert layer.weight.grad_fn is None


def test_initial_clipping_works_on_the_meta_device() -> None:
    with torch.device("meta"):
        layer = nn.Linear(5, 1)
    constrain(layer, [WeightClipping(initial=True)], (5,))
    assert layer.weight.is_meta


def test_default_and_invalid_values() -> None:
    assert WeightClipping().c == 0.01
    assert WeightClipping().biases
    assert not WeightClipping().initial
    for c in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValidationError):
            WeightClipping(c=c)
