"""Networks of unusual kinds: outputs without an axis, float32 only, weights that move, random, batch normalization."""

import math

import pytest
import torch
from torch import Tensor, nn

from lipschitz.estimation.measure import measure
from lipschitz.tasks.measurement import measure_discriminator


class WithoutAxis(nn.Module):
    """Returns ``(n,)``, or with ``squeezed`` a number for a batch of one, as public discriminators do."""

    def __init__(self, squeezed: bool) -> None:
        super().__init__()
        self.conv, self.squeezed = nn.Conv2d(1, 1, 4, bias=False), squeezed

    def forward(self, x: Tensor) -> Tensor:
        output = self.conv(x)
        return output.squeeze() if self.squeezed else output.view(-1)


@pytest.mark.parametrize("squeezed", [False, True])
def test_a_network_that_returns_one_number_for_each_sample(squeezed: bool) -> None:
    torch.manual_seed(0)
    net = WithoutAxis(squeezed)
    found = measure(net, (1, 4, 4))
    sigma = float(net.conv.weight.detach().double().norm())
    assert found.lower == pytest.approx(sigma, rel=1e-8)
    assert found.lower <= found.upper
    assert not any("mixes" in reason for reason in found.reasons)


class SinglePrecision(nn.Module):
    """Takes float32 only, as StyleGAN2-ada and R3GAN do."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, x: Tensor) -> Tensor:
        assert x.dtype == torch.float32
        output: Tensor = self.body(x)
        return output


def test_a_network_that_takes_float32_only_is_measured_with_a_larger_allowance() -> None:
    torch.manual_seed(0)
    net = SinglePrecision()
    found, wide = measure(net, (3,)), measure(net.body, (3,))
    assert any("it is measured in float32" in reason for reason in found.reasons)
    assert [layer.upper for layer in found.layers] == pytest.approx([layer.upper for layer in wide.layers], rel=1e-12)
    assert wide.lower * (1 - 1e-2) < found.lower <= found.upper
    assert wide.reasons == ()


class Normalised(nn.Module):
    """Spectral normalization that makes a step of power iteration at every call, also in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(5, 4)
        self.register_buffer("u", torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        weight = self.linear.weight
        with torch.no_grad():
            v = nn.functional.normalize(weight.T @ self.u, dim=0)
            self.u.copy_(nn.functional.normalize(weight @ v, dim=0))
        return x @ (weight / (self.u @ (weight @ v))).T


def test_weights_that_move_at_every_call_are_measured_once_they_settle() -> None:
    torch.manual_seed(0)
    net = Normalised()
    nn.init.orthogonal_(net.linear.weight)
    net.linear.weight.data[0] *= 2
    found = measure(net, (5,))
    assert found.lower == pytest.approx(1, rel=1e-6)
    assert any("was called until it settled" in reason for reason in found.reasons)
    assert not any("mixes" in reason for reason in found.reasons)


class Noisy(nn.Module):
    """Adds noise in eval mode too."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.01 * torch.randn_like(x)


def test_a_random_network_has_no_bracket_and_does_not_mix_samples() -> None:
    found = measure(nn.Sequential(nn.Linear(3, 1), Noisy()), (3,))
    assert (found.lower, found.upper) == (0, math.inf)
    assert any("returns different values for the same input" in reason for reason in found.reasons)
    assert not any("mixes" in reason for reason in found.reasons)
    assert [layer.name for layer in found.layers] == ["0"]


def test_batch_normalization_is_said_to_be_in_eval_mode() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    note = (
        "the bracket is of the network in eval mode, where '1' and 1 more layers use running statistics instead of the "
        "batch's"
    )
    assert note in measure(net, (2,)).reasons
    places = {place: torch.randn(4, 2) for place in ("real", "fake", "interpolated")}
    assert measure_discriminator(net, places).facts["bracket_notes"] == [note]


def test_several_outputs_need_no_second_derivative() -> None:
    class Distances(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("centres", torch.eye(3))

        def forward(self, x: Tensor) -> Tensor:
            return torch.cdist(x, self.centres)

    assert measure(Distances(), (3,)).lower == pytest.approx(3**0.5, rel=1e-2)
