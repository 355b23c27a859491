"""Networks of bounded layers: residual sums, pooling, projection discriminators, and what is refused."""

import copy

import numpy as np
import pytest
import torch
from layer_strategies import dense
from torch import nn

from lipschitz.constraints.aol import AOL
from lipschitz.constraints.base import CONSTRAINTS, Constraint, Refusal, constrain
from lipschitz.constraints.bjorck import Bjorck
from lipschitz.constraints.cayley import Cayley
from lipschitz.constraints.composition import HalvedResidual, JointProjection, UnitSumPool, rows_as_groups
from lipschitz.constraints.soc import SOC
from lipschitz.constraints.weight_normalization import WeightNormalization
from lipschitz.estimation.float64_copy import float64_copy
from lipschitz.estimation.layers import raw_weight
from lipschitz.estimation.upper_bound.composition import upper_bound_over_classes
from lipschitz.models.conditional import ProjectionDiscriminator
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.residual import MeanPool, ResidualBlock, SumPool
from lipschitz.models.resnet import ResNet

CLASSES = 3
METHODS = [kind for kind in CONSTRAINTS.values() if kind.promise == "certified"]


def head(features: int) -> ProjectionDiscriminator:
    torch.manual_seed(0)
    return ProjectionDiscriminator(nn.Sequential(nn.Identity()), nn.Linear(features, 1), CLASSES).double()


def test_a_residual_sum_is_halved() -> None:
    block = ResidualBlock(nn.Linear(1, 1, bias=False), nn.Identity(), nn.Identity())
    nn.init.constant_(block.first.weight, 5.0)
    net = constrain(block, [Bjorck()], (1,))
    assert isinstance(net, HalvedResidual)
    # (x + x) / 2, as the weight is one.
    assert net(torch.tensor([[3.0]])).item() == pytest.approx(3.0, rel=1e-6)


@pytest.mark.parametrize("pooling", ["sum", "mean"])
def test_global_pooling_has_a_norm_of_at_most_one(pooling: str) -> None:
    net = constrain(nn.Sequential(SumPool() if pooling == "sum" else MeanPool()), [AOL()], (2, 3, 4))
    norm = np.linalg.norm(dense(net, torch.Size((2, 3, 4))), 2)
    assert norm == pytest.approx(1.0 if pooling == "sum" else 12**-0.5)
    assert isinstance(net[0], UnitSumPool) == (pooling == "sum")


@pytest.mark.parametrize("kind", METHODS, ids=lambda kind: kind.name())
@pytest.mark.parametrize("coefficient", [1.0, 0.3])
def test_the_embedding_and_the_last_layer_are_bounded_as_one(kind: type[Constraint], coefficient: float) -> None:
    bare, net = head(4), constrain(head(4), [kind(coefficient=coefficient)], (4,))
    assert isinstance(net, JointProjection)
    for name in ("projection", "output"):
        assert torch.equal(raw_weight(net.get_submodule(name)), bare.get_submodule(name).weight)
    x = torch.randn(5, 4, dtype=torch.float64)
    norms = []
    for label in range(CLASSES):
        outputs = net(x, torch.full((5,), label)) - net.output.bias
        row = torch.linalg.lstsq(x, outputs).solution[:, 0].detach()
        norms.append(float(row.norm()))
        wanted = bare.output.weight[0] + bare.projection.weight[label]
        # SOC and Cayley map a row to another direction.
        assert kind in (SOC, Cayley) or torch.nn.functional.cosine_similarity(row, wanted, dim=0) > 0.5
    # The bound is that of a class: it is reached, and by all classes alone where a method rescales rows one by one.
    assert coefficient * (1 - 1e-5) < max(norms) <= coefficient
    assert min(norms) > 0.2 * coefficient
    net(x, torch.zeros(5, dtype=torch.int64)).sum().backward()
    assert raw_weight(net.projection).grad[0].norm() > 0
    assert net.output.weight.grad.norm() > 0


def test_the_rows_of_a_matrix_are_the_groups_of_a_convolution() -> None:
    layer = nn.Linear(3, 2).double()
    rows = dense(rows_as_groups(layer), torch.Size((6, 1)))
    assert np.array_equal(rows, torch.block_diag(*layer.weight.detach()).numpy())


@pytest.mark.parametrize("model", [ResNet(width=2, conditional=True), DCGAN(width=2, conditional=True)], ids=str)
def test_a_conditional_network_is_one_lipschitz_for_every_class(model: ResNet | DCGAN) -> None:
    torch.manual_seed(0)
    shape = (1, 8, 8)
    net = constrain(model.build_discriminator(shape, CLASSES), [Bjorck()], shape)
    x, y = torch.randn(2, 2000, *shape, dtype=torch.float64)
    with float64_copy(net) as twin, torch.no_grad():
        bound = upper_bound_over_classes(twin, shape, CLASSES)
        for label in torch.arange(CLASSES):
            quotients = (twin(x, label.expand(2000)) - twin(y, label.expand(2000))).abs() / (x - y).flatten(1).norm(
                dim=1, keepdim=True
            )
            assert 0 < quotients.max() <= min(bound.constant, 1)
    assert bound.constant < 10, bound.reasons


def test_a_later_method_on_the_embedding_is_refused() -> None:
    for later in (WeightNormalization(), AOL()):
        net = Bjorck().wrap(head(4), (4,))
        with pytest.raises(Refusal, match=r"^bjorck no longer bounds the weight of 'projection'"):
            Bjorck().check(later.wrap(net, (4,)))
        with pytest.raises(Refusal, match=f"bjorck and {later.name()} both normalise every weight"):
            constrain(head(4), [Bjorck(), later], (4,))


def test_attention_is_refused_by_name() -> None:
    shape = (1, 8, 8)
    with pytest.raises(Refusal, match=r"'blocks.1' \(SelfAttention\): dot-product attention has no finite Lipschitz"):
        constrain(ResNet(width=2, attention=4).build_discriminator(shape), [Bjorck()], shape)


def test_hooks_on_a_container_are_refused() -> None:
    net = nn.Sequential(nn.Sequential(nn.Linear(2, 2)))
    net[0].register_forward_hook(lambda module, inputs, output: 3 * output)
    with pytest.raises(Refusal, match=r"'0' \(Sequential\): a forward hook may change"):
        constrain(net, [Bjorck()], (2,))
    net = nn.Sequential(nn.Sequential(nn.Linear(2, 2)))
    net[0].forward = lambda x: 9 * x  # type: ignore[method-assign]
    with pytest.raises(Refusal, match=r"'0' \(Sequential\): its forward method was replaced"):
        constrain(net, [Bjorck()], (2,))


def test_raw_parameters_of_a_residual_network_are_unchanged() -> None:
    shape = (1, 8, 8)
    torch.manual_seed(0)
    bare = ResNet(width=2).build_discriminator(shape)
    torch.manual_seed(0)
    net = constrain(ResNet(width=2).build_discriminator(shape), [AOL()], shape)
    parameters = {name.replace("parametrizations.weight.original", "weight"): p for name, p in net.named_parameters()}
    assert {name: p.shape for name, p in bare.named_parameters()} == {name: p.shape for name, p in parameters.items()}
    assert all(torch.equal(p, parameters[name]) for name, p in bare.named_parameters())
    assert isinstance(net.get_submodule("blocks.0"), HalvedResidual)


@pytest.mark.parametrize("kind", METHODS, ids=lambda kind: kind.name())
def test_copies_and_restored_states_are_the_same_function(kind: type[Constraint]) -> None:
    torch.manual_seed(0)
    shape, labels = (1, 8, 8), torch.tensor([0, 1, 2])
    x = torch.randn(3, *shape)
    net, other = (
        constrain(DCGAN(width=2, conditional=True).build_discriminator(shape, CLASSES), [kind()], shape)
        for _ in range(2)
    )
    copied = copy.deepcopy(net)
    other.load_state_dict(net.state_dict())
    expected = net(x, labels)
    assert torch.equal(copied(x, labels), expected)
    assert torch.equal(other(x, labels), expected)
    # A copy has parameters of its own, also behind the sum of its embedding and its last layer.
    for parameter in net.parameters():
        parameter.data.zero_()
    assert torch.equal(copied(x, labels), expected)


def test_tied_layers_of_a_residual_network_stay_tied() -> None:
    torch.manual_seed(0)
    block = ResidualBlock(nn.Linear(3, 3), nn.Linear(3, 3), nn.Identity())
    block.second.weight = block.first.weight
    net = constrain(block.double(), [Bjorck()], (3,))
    assert raw_weight(net.first) is raw_weight(net.second)
    assert torch.equal(net.first.weight, net.second.weight)
    assert 0.1 < np.linalg.norm(dense(net, torch.Size((3,))), 2) <= 1
