"""CPL and SLL: residual layers against values by hand, dense matrices, and the package orthogonium."""

import copy
import math
from collections import OrderedDict

import pytest
import torch
from layer_strategies import dense
from numpy.testing import assert_allclose
from torch import nn

from lipschitz.constraints.base import Constraint, Refusal, constrain
from lipschitz.constraints.cpl import CPL
from lipschitz.constraints.residual_layers import ConvexPotential, adjoint
from lipschitz.constraints.sll import SLL
from lipschitz.estimation.layers import WeightedLayer, raw_weight
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.mlp import MLP
from lipschitz.models.resnet import ResNet

LAYERS = [
    (nn.Linear(3, 5), (3,)),
    (nn.Linear(5, 3), (5,)),
    (nn.Conv2d(2, 3, 3, padding=1), (2, 4, 4)),
    (nn.Conv2d(4, 2, 4, stride=2, padding=1, groups=2), (4, 6, 6)),
    (nn.Conv2d(2, 2, 3, padding=2, dilation=2), (2, 5, 5)),
    (nn.Conv2d(3, 4, 3, stride=3), (3, 6, 6)),
    (nn.Conv1d(2, 6, 5, stride=2, padding=2), (2, 8)),
    (nn.Conv2d(2, 3, 3, padding="same"), (2, 4, 4)),
]


def block(layer: nn.Module, activation: nn.Module | None = None) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layer=layer, norm=nn.Identity(), activation=activation or nn.ReLU()))


def residual(method: Constraint, layer: nn.Module, shape: tuple[int, ...], activation: nn.Module | None = None):
    return constrain(block(copy.deepcopy(layer), activation).double(), [method], shape)


def linear(weight: list[list[float]]) -> nn.Linear:
    layer = nn.Linear(len(weight[0]), len(weight), bias=False)
    layer.weight.data = torch.tensor(weight)
    return layer


def test_one_unit_by_hand() -> None:
    # A positive weight gives x - 2 relu(x) = -|x|, a negative one x + 2 relu(-x) = |x|.
    x = torch.tensor([[3.0], [-2.0]], dtype=torch.float64)
    for method in (CPL(), SLL()):
        for weight, sign in ((5.0, -1), (-0.1, 1)):
            assert_allclose(residual(method, linear([[weight]]), (1,))(x).detach(), sign * x.abs(), atol=1e-5)


def test_sll_by_hand() -> None:
    # W Wᵀ = [[5, 2], [2, 1]], so T = diag(7, 3), and at (1, 1) both units are active: T^-1 W x = (3/7, 1/3).
    net = residual(SLL(), linear([[1.0, 2.0], [0.0, 1.0]]), (2,))
    x = torch.ones(1, 2, dtype=torch.float64)
    assert_allclose(net(x).detach(), [[1 - 6 / 7, 1 - 2 * (6 / 7 + 1 / 3)]], atol=1e-6)
    # With q = (1, 2) T = diag(5 + 4, 1 + 1).
    (step,) = net.layer.parametrizations["weight"]
    step.log_q.data[1] = math.log(2)
    assert_allclose(net(x).detach(), [[1 - 6 / 9, 1 - 2 * (6 / 9 + 1 / 2)]], atol=1e-6)


def test_cpl_by_hand() -> None:
    # σ = 5, and W/σ = diag(1, 0.4). A unit of negative slope a passes on 1 - 2 w² or 1 - 2 a w² of its input.
    net = residual(CPL(), linear([[5.0, 0.0], [0.0, 2.0]]), (2,), nn.LeakyReLU(0.1))
    y = net(torch.tensor([[1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64))
    assert_allclose(y.detach(), [[-1, 0.68], [-0.8, -0.968]], atol=1e-6)


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=str)
def test_the_adjoint_is_the_transposed_matrix(layer: WeightedLayer, shape: tuple[int, ...]) -> None:
    layer = copy.deepcopy(layer).double()
    matrix = dense(layer, torch.Size(shape))
    outputs = layer(torch.zeros(1, *shape, dtype=torch.float64)).shape[1:]
    unit = torch.eye(matrix.shape[0], dtype=torch.float64).view(-1, *outputs)
    with torch.no_grad():
        assert_allclose(adjoint(layer, unit, (len(unit), *shape)).flatten(1), matrix, atol=1e-12)


@pytest.mark.parametrize("method", [CPL(), SLL(), CPL(coefficient=0.5), SLL(coefficient=3.0)], ids=Constraint.label)
@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=str)
def test_the_jacobian_is_bounded_for_any_slopes(
    method: Constraint, layer: WeightedLayer, shape: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    net = residual(method, layer, shape, nn.LeakyReLU(0.1))
    assert isinstance(net, ConvexPotential)
    assert net(torch.zeros(2, *shape, dtype=torch.float64)).shape == net.layer(torch.zeros(2, *shape).double()).shape
    if isinstance(method, SLL):
        nn.init.normal_(net.layer.parametrizations["weight"][0].log_q)
    norms = []
    for scale in (0.1, 1.0, 10.0):
        x = scale * torch.randn(1, *shape, dtype=torch.float64)
        jacobian = torch.autograd.functional.jacobian(net, x).reshape(-1, x.numel())
        norms.append(float(torch.linalg.matrix_norm(jacobian, 2)))
    c = method.coefficient
    assert 0.3 * c < max(norms) <= c * (1 + 1e-9)


def test_raw_parameters_keep_their_names() -> None:
    for model, shape in ((MLP(width=4), (2,)), (DCGAN(width=2), (1, 8, 8))):
        bare = model.build_discriminator(shape)
        names = {name for name, _ in bare.named_parameters()}
        net = constrain(bare, [CPL()], shape)
        assert {
            name.replace("parametrizations.weight.original", "weight") for name, _ in net.named_parameters()
        } == names
        blocks = list(net.get_submodule("blocks").children())
        assert blocks
        assert all(isinstance(each, ConvexPotential) for each in blocks)


@pytest.mark.parametrize("method", [CPL(), SLL()], ids=Constraint.label)
def test_what_has_no_residual_form_is_refused(method: Constraint) -> None:
    name = method.name()
    for activation in (nn.Tanh(), nn.ELU()):
        residual(method, nn.Linear(2, 2), (2,), activation)
    with pytest.raises(Refusal, match=f"^{name} makes 'blocks.0' a residual layer, but GroupSort is not elementwise"):
        constrain(MLP(width=4, activation="group_sort").build_discriminator((2,)), [method], (2,))
    with pytest.raises(Refusal, match=f"^{name} makes each block .* 'blocks.0' is a residual block itself"):
        constrain(ResNet(width=2).build_discriminator((1, 8, 8)), [method], (1, 8, 8))
    for layer, size in ((nn.Conv2d(1, 1, 2, stride=2), 5), (nn.ConvTranspose2d(1, 1, 2, stride=2), 4)):
        with pytest.raises(Refusal, match=f"^{name} makes the block of 'layer' a residual layer, but its map"):
            residual(method, layer, (1, size, size))


def test_sll_is_the_layer_of_orthogonium() -> None:
    theirs = pytest.importorskip("orthogonium.layers.conv.SLL.sll_layer").SDPBasedLipschitzDense(3, 3, 4).double()
    layer = nn.Linear(3, 4).double()
    layer.weight.data = theirs.weight.detach().clone()
    ours = constrain(block(layer), [SLL()], (3,))
    ours.layer.parametrizations["weight"][0].log_q.data = theirs.q.detach().clone()
    # Our bias is inside of the rescaling, T^(-1/2) b.
    layer.bias.data = theirs.bias.detach()[0] * theirs.compute_t().detach().sqrt()
    x = torch.randn(5, 3, dtype=torch.float64)
    assert_allclose(nn.functional.pad(theirs(x), (0, 1)).detach(), ours(x).detach(), atol=1e-6)


def test_gradcheck() -> None:
    torch.manual_seed(0)
    net = residual(SLL(), nn.Conv2d(2, 2, 3, 2, padding=1), (2, 4, 4))
    (step,) = net.layer.parametrizations["weight"]
    assert torch.autograd.gradcheck(step.bounded, raw_weight(net.layer).detach().requires_grad_())
