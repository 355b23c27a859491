"""Sensitivity to noise on inputs, pixels and weights: networks whose change is known."""

import math

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from lipschitz.metrics.sensitivity import input_sensitivity, pixel_sensitivity, weight_sensitivity
from lipschitz.random_streams import stream


def test_input_noise_on_a_linear_network() -> None:
    # Logits (2 x, 0): the change is 2 s |noise|, of mean 2 s √(2 / π).
    net = nn.Linear(1, 2, bias=False)
    net.weight.data = torch.tensor([[2.0], [0.0]])
    x, labels = torch.zeros(2000, 1), torch.zeros(2000, dtype=torch.int64)
    found = input_sensitivity(net, x, labels, 0.1, stream(0, "noise"), draws=10)
    assert found.logit_change == pytest.approx(0.2 * math.sqrt(2 / math.pi), rel=0.02)
    assert 0.2 * 3.5 < found.largest < 0.2 * 6
    # Half of the noise is negative, and the loss log(1 + exp(-0.2 n)) is 0.2² / 8 above log 2 in the mean.
    assert found.accuracy == pytest.approx(0.5, abs=0.02)
    assert found.loss_change == pytest.approx(0.2**2 / 8, abs=2e-3)
    assert input_sensitivity(net, x, labels, 0.0, stream(0, "noise")) == (0, 0, 0, 1)
    assert input_sensitivity(net, x, labels, 0.1, stream(0, "noise"), draws=10) == found


def test_one_pixel_changes_by_the_extreme_colours() -> None:
    # The sum of all entries of a grey image of two channels: two entries become ±1, so it changes by -2, 0 or 2.
    class Sum(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            total = x.flatten(1).sum(dim=1)
            return torch.stack([total, torch.zeros_like(total)], dim=1)

    images, labels = torch.zeros(1000, 2, 3, 5), torch.zeros(1000, dtype=torch.int64)
    found = pixel_sensitivity(Sum(), images, labels, stream(0, "pixel"), draws=4)
    assert found.largest == 2
    # 2 with probability 1/2, and -2, which is misclassified, with 1/4.
    assert found.logit_change == pytest.approx(1, abs=0.05)
    assert found.accuracy == pytest.approx(0.75, abs=0.03)
    assert images.abs().sum() == 0


def test_weight_noise_is_relative_to_each_tensor() -> None:
    # W = (3, 4; 0, 0) has a root mean square of 5 / 2: at x = (1, 0) the logits change by 2.5 s (n_1, n_2).
    net = nn.Linear(2, 2, bias=False)
    net.weight.data = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    x, labels = torch.tensor([[1.0, 0.0]]), torch.tensor([0])
    found = weight_sensitivity(net, x, labels, 0.01, stream(0, "weights"), draws=2000)
    assert found.logit_change == pytest.approx(0.025 * math.sqrt(math.pi / 2), rel=0.05)
    assert found.accuracy == 1
    # Its scale does not matter, relative to the logits.
    net.weight.data *= 10
    ten = weight_sensitivity(net, x, labels, 0.01, stream(0, "weights"), draws=2000)
    assert ten.logit_change == pytest.approx(10 * found.logit_change, rel=1e-4)
    assert net.weight.tolist() == [[30, 40], [0, 0]]


def test_weight_noise_is_on_effective_weights() -> None:
    class Unit(nn.Module):
        def forward(self, weight: torch.Tensor) -> torch.Tensor:
            return weight / weight.norm()

    plain = nn.Linear(2, 2)
    plain.weight.data = torch.tensor([[0.6, 0.8], [0.0, 0.0]])
    reparametrized = nn.Linear(2, 2)
    reparametrized.weight.data, reparametrized.bias.data = 7 * plain.weight.data, plain.bias.data
    # torch then lists the bias before the weight, whose noise must not become another one.
    parametrize.register_parametrization(reparametrized, "weight", Unit())
    x, labels = torch.randn(5, 2), torch.zeros(5, dtype=torch.int64)
    first, second = (weight_sensitivity(net, x, labels, 0.1, stream(0, "weights")) for net in (plain, reparametrized))
    assert first == pytest.approx(second, rel=1e-5)


def test_the_noise_of_a_weight_does_not_depend_on_other_tensors() -> None:
    # The noise of a further parameter of a method shifts no draw.
    class Gated(nn.Linear):
        def __init__(self) -> None:
            super().__init__(2, 2)
            self.a_gate = nn.Parameter(torch.zeros(3))

    plain, gated = nn.Linear(2, 2), Gated()
    gated.load_state_dict(plain.state_dict(), strict=False)
    x, labels = torch.randn(5, 2), torch.zeros(5, dtype=torch.int64)
    first, second = (weight_sensitivity(net, x, labels, 0.1, stream(0, "weights")) for net in (plain, gated))
    assert first == second
