"""Sandwich layers against values by hand, dense matrices, and difference quotients."""

import copy

import numpy as np
import pytest
import torch
from layer_strategies import dense
from numpy.testing import assert_allclose
from torch import Tensor, nn
from torch.nn import functional as F

from lipschitz.constraints.base import Refusal, constrain
from lipschitz.constraints.sandwich import Sandwich
from lipschitz.constraints.sandwich_layers import SandwichLayer
from lipschitz.estimation.float64_copy import float64_copy
from lipschitz.estimation.layers import raw_weight
from lipschitz.estimation.upper_bound.composition import upper_bound
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.group_sort import GroupSort
from lipschitz.models.mlp import MLP
from lipschitz.models.resnet import ResNet

LAYERS = [
    (nn.Linear(3, 5), (3,)),
    (nn.Linear(5, 3), (5,)),
    (nn.Conv2d(2, 3, 3, padding=1), (2, 4, 3)),
    (nn.Conv2d(4, 4, 4, 2, padding=1, groups=2), (4, 6, 4)),
    (nn.Conv2d(1, 2, 2, stride=2), (1, 4, 4)),
    (nn.Conv1d(2, 3, 3, padding=1), (2, 7)),
]


def sandwich(layer: nn.Module, shape: tuple[int, ...], coefficient: float = 1.0) -> nn.Sequential:
    """Return the layer and a ReLU as a sandwich layer in float64, with a random X."""
    net = constrain(nn.Sequential(copy.deepcopy(layer), nn.ReLU()).double(), [Sandwich(coefficient=coefficient)], shape)
    assert isinstance(net, SandwichLayer)
    torch.manual_seed(0)
    with torch.no_grad():
        net[0].parametrizations["weight"][0].x.normal_()
    return net


class After(nn.Module):
    """The map of a sandwich layer after its activation."""

    def __init__(self, net: nn.Sequential) -> None:
        super().__init__()
        self.layer = net[0]

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.layer.outgoing
        if kernel.dim() == 2:
            return F.linear(x, kernel)
        sides = [side for size in reversed(kernel.shape[2:]) for side in ((size - 1) // 2, size // 2)]
        convolve = F.conv1d if kernel.dim() == 3 else F.conv2d
        return convolve(F.pad(x, sides, "circular"), kernel, groups=self.layer.groups)


def test_one_unit_by_hand() -> None:
    # [X; -Wᵀ] = [0; -2]: A = (1 - 4) / (1 + 4) and B = 4 / 5. So 2 * -0.6 relu(0.8 x).
    layer = nn.Linear(1, 1, bias=False)
    layer.weight.data = torch.tensor([[2.0]])
    x = torch.tensor([[3.0], [-2.0]], dtype=torch.float64)
    assert_allclose(sandwich(layer, (1,))(x).detach(), [[-1.2 * 2.4], [0]], atol=1e-5)
    # Without an activation it is B.
    assert_allclose(constrain(layer, [Sandwich()], (1,)).weight.detach(), [[0.8]], atol=1e-5)


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=str)
def test_both_matrices_are_orthonormal_together(layer: nn.Module, shape: tuple[int, ...]) -> None:
    for coefficient in (1.0, 0.3):
        net = sandwich(layer, shape, coefficient)
        assert torch.equal(raw_weight(net[0]), layer.weight.double())
        x = torch.randn(1, *shape, dtype=torch.float64)
        hidden = net[0](x)
        assert net(x).shape == hidden.shape == layer(x.float()).shape
        assert_allclose(net(x).detach(), After(net)(hidden.relu()).detach(), rtol=1e-12, atol=1e-15)
        b = dense(net[0], torch.Size(shape)) / coefficient
        a = dense(After(net), hidden.shape[1:]).T / 2
        gram = a @ a.T + b @ b.T
        assert_allclose(gram, np.eye(len(a)), atol=1e-6)
        assert np.linalg.norm(gram, 2) <= 1
        # The largest slope at random patterns of the activation.
        patterns = np.random.default_rng(0).integers(0, 2, (50, len(a)))
        norms = [np.linalg.norm(2 * a.T * pattern @ b, 2) for pattern in patterns]
        assert 0.5 < max(norms) <= 1


def test_the_jacobian_of_a_network_is_bounded_and_measured() -> None:
    torch.manual_seed(0)
    for model, shape in ((MLP(width=8), (2,)), (DCGAN(width=2), (1, 8, 8))):
        net = constrain(model.build(shape).discriminator, [Sandwich()], shape)
        assert {name.split(".parametrizations")[0] for name, _ in net.named_parameters()} >= {
            name.rsplit(".", 1)[0] for name, _ in model.build(shape).discriminator.named_parameters()
        }
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.mul_(3)
        with float64_copy(net) as plain:
            x = torch.randn(200, *shape, dtype=torch.float64, requires_grad=True)
            (gradient,) = torch.autograd.grad(plain(x).sum(), x)
            assert 0 < gradient.flatten(1).norm(dim=1).max() <= upper_bound(plain, shape).constant <= 1


def test_copies_and_state_dicts() -> None:
    net = nn.Sequential(sandwich(*LAYERS[3]))
    x = torch.randn(2, 4, 6, 4, dtype=torch.float64)
    other = nn.Sequential(sandwich(nn.Conv2d(4, 4, 4, 2, padding=1, groups=2), LAYERS[3][1]))
    assert not torch.equal(other(x), net(x))
    other.load_state_dict(net.state_dict())
    assert torch.equal(other(x), net(x))
    twin = copy.deepcopy(net)
    # The copy has its own weights in both matrices.
    with torch.no_grad():
        raw_weight(net[0][0]).zero_()
    assert torch.equal(twin(x), other(x))
    with float64_copy(other) as plain:
        assert_allclose(plain(x), other(x).detach(), rtol=1e-12)


def test_a_layer_of_two_blocks_is_the_same_in_both() -> None:
    layer = nn.Linear(2, 2).double()
    net = constrain(nn.Sequential(*(nn.Sequential(layer, nn.ReLU()) for _ in range(2))), [Sandwich()], (2,))
    x = torch.randn(3, 2, dtype=torch.float64)
    assert torch.equal(net(x), net[1](net[0](x)))
    assert torch.equal(net[1](x), net[0](x))


def test_gradcheck() -> None:
    for layer, shape in ((nn.Linear(2, 3), (2,)), (nn.Conv2d(2, 2, 3, 2, padding=1), (2, 4, 2))):
        net = sandwich(layer, shape)
        x = torch.randn(1, *shape, dtype=torch.float64)
        names = [name for name, _ in net.named_parameters()]
        values = tuple(value.detach().requires_grad_() for value in net.parameters())

        def output(*values: Tensor, net: nn.Module = net, names: list[str] = names, x: Tensor = x) -> Tensor:
            return torch.func.functional_call(net, dict(zip(names, values, strict=True)), x)

        assert torch.autograd.gradcheck(output, values)
        output(*values).square().sum().backward()
        assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in values)


def test_what_has_no_sandwich_form_is_refused_in_one_line() -> None:
    cases = [
        (nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.GELU())), (2,), r"cannot bound '0\.1' \(GELU\)"),
        (
            nn.Sequential(nn.Sequential(nn.Linear(2, 2), GroupSort())),
            (2,),
            r"makes '0' a sandwich layer, but GroupSort is not elementwise .*; allowed: relu, leaky_relu",
        ),
        (
            nn.Sequential(nn.Sequential(nn.ConvTranspose2d(1, 1, 2, 2), nn.ReLU())),
            (1, 2, 2),
            r"makes '0' a sandwich layer, but '0\.0' is a ConvTranspose2d; allowed: Linear, Conv1d, Conv2d",
        ),
        (ResNet(width=2).build((1, 8, 8)).discriminator, (1, 8, 8), r"makes each block .* is a residual block itself"),
    ]
    for net, shape, message in cases:
        with pytest.raises(Refusal, match=f"^sandwich {message}") as raised:
            constrain(net, [Sandwich()], shape)
        assert "\n" not in str(raised.value)
