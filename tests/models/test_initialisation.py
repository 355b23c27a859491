"""Initial weights: the value of each start by hand, in every model, and the start that a method declares."""

from typing import Any, get_args

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.testing import assert_close

from lipschitz.constraints.aol import AOL
from lipschitz.constraints.base import CONSTRAINTS, Refusal, constrain, with_start
from lipschitz.constraints.none import NoConstraint
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.constraints.weight_clipping import WeightClipping
from lipschitz.estimation.layers import raw_weight, weighted_layers
from lipschitz.models.base import MODELS, Model, PairModel
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.initialisation import DiscriminatorInit, GeneratorInit, Init, initialise
from lipschitz.models.mlp import MLP
from lipschitz.models.resnet import ResNet

SHAPES: dict[str, tuple[int, ...]] = {"points": (2,), "images": (1, 16, 16)}


def start(layer: nn.Module, init: DiscriminatorInit) -> Tensor:
    """Return the weight of ``layer``, drawn anew."""
    torch.manual_seed(0)
    initialise(layer, "leaky_relu", init)
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return weight.detach()


def test_the_scale_of_each_start() -> None:
    conv = nn.Conv2d(64, 128, 4)
    fan_in, fan_out = 64 * 16, 128 * 16
    assert start(conv, "normal").std().item() == pytest.approx(0.02, rel=0.01)
    assert start(conv, "he").std().item() == pytest.approx((2 / 1.01 / fan_in) ** 0.5, rel=0.01)
    glorot = start(conv, "glorot")
    assert glorot.std().item() == pytest.approx((2 / (fan_in + fan_out)) ** 0.5, rel=0.01)
    assert glorot.abs().max().item() <= (6 / (fan_in + fan_out)) ** 0.5
    matrix = start(conv, "orthogonal").flatten(1)
    assert_close(matrix @ matrix.T, torch.eye(128))


def test_torch_s_own_start_is_left_alone() -> None:
    torch.manual_seed(1)
    layer = nn.Linear(5, 3)
    weight, bias = layer.weight.clone(), layer.bias.clone()
    initialise(layer, "relu", "torch")
    assert torch.equal(layer.weight, weight)
    assert torch.equal(layer.bias, bias)


@pytest.mark.parametrize(("kernel", "tap"), [(1, 0), (3, 1), (4, 1), (5, 2)])
def test_dirac_copies_a_layer_s_input(kernel: int, tap: int) -> None:
    square = start(nn.Conv2d(4, 4, kernel), "dirac")
    assert torch.equal(square[:, :, tap, tap], torch.eye(4))
    assert square.count_nonzero() == 4
    wider = start(nn.Conv2d(3, 5, kernel), "dirac")
    assert_close(wider[:, :, tap, tap].T @ wider[:, :, tap, tap], torch.eye(3))
    assert torch.equal(wider.sum((2, 3)), wider[:, :, tap, tap])
    x = torch.randn(2, 4, 8, 8)
    conv = nn.Conv2d(4, 4, 3, padding=1)
    start(conv, "dirac")
    assert torch.equal(conv(x), x)
    dense = start(nn.Linear(3, 7), "dirac")
    assert_close(dense.T @ dense, torch.eye(3))
    assert torch.equal(start(nn.Linear(3, 3), "dirac"), torch.eye(3))


@pytest.mark.parametrize("init", [one for one in get_args(DiscriminatorInit) if one != "torch"])
def test_biases_start_at_zero(init: DiscriminatorInit) -> None:
    if init == "method":
        with pytest.raises(ValueError, match="allowed: the model of `with_start`"):
            initialise(nn.Linear(2, 2), "relu", init)
        return
    layer = nn.Linear(4, 4)
    start(layer, init)
    assert torch.equal(layer.bias, torch.zeros(4))


def weights(net: nn.Module) -> list[Tensor]:
    return [raw_weight(layer).detach().clone() for _, layer in weighted_layers(net)]


def drawn(model: Model) -> list[Tensor]:
    torch.manual_seed(0)
    return weights(model.build_discriminator(SHAPES[model.kind]))


@pytest.mark.parametrize("name", MODELS)
def test_every_model_takes_every_start(name: str) -> None:
    kind: Any = MODELS[name]
    seen: list[list[Tensor]] = []
    for init in get_args(Init):
        found = drawn(kind(width=4, init=init))
        assert all(torch.isfinite(weight).all() for weight in found)
        assert not any(all(map(torch.equal, found, other)) for other in seen)
        seen.append(found)
    default = drawn(kind(width=4))
    assert sum(all(map(torch.equal, default, other)) for other in seen) == 1


@pytest.mark.parametrize("model", [MLP(width=4), DCGAN(width=4), ResNet(width=4)], ids=lambda model: model.name())
def test_the_generator_has_a_start_of_its_own(model: PairModel) -> None:
    shape = SHAPES[model.kind]
    for init in get_args(GeneratorInit):
        torch.manual_seed(0)
        same = weights(model.build(shape).generator)
        torch.manual_seed(0)
        other = weights(model.model_copy(update={"init": "dirac"}).build(shape).generator)
        assert all(map(torch.equal, same, other))
        torch.manual_seed(0)
        changed = weights(model.model_copy(update={"generator_init": init}).build(shape).generator)
        assert all(map(torch.equal, same, changed)) == (init == ("glorot" if model.name() == "resnet" else "he"))
    with pytest.raises(ValidationError, match="generator_init"):
        type(model)(generator_init="method")  # type: ignore[call-arg]


@pytest.mark.parametrize("init", ["normal", "dirac", "orthogonal"])
def test_within_one_start_all_methods_have_the_same_raw_weights(init: DiscriminatorInit) -> None:
    model = DCGAN(width=4, init=init)
    bare = drawn(model)
    for name, kind in CONSTRAINTS.items():
        torch.manual_seed(0)
        net = with_start(model, [kind()]).build_discriminator(SHAPES["images"])
        try:
            net = constrain(net, [kind()], SHAPES["images"])
        except Refusal:
            continue
        assert all(map(torch.equal, weights(net), bare)), name


def test_the_start_of_a_method() -> None:
    model = DCGAN(init="method")
    assert with_start(model, [AOL()]).init == "dirac"
    assert with_start(model, [SpectralNormalization(), WeightClipping()]).init == "normal"
    assert with_start(model, [NoConstraint()]).init is None
    assert with_start(ResNet(init="method"), ()).init is None
    # The ResNets of SN-GAN and of gradient normalization start otherwise than their plain networks.
    starts = {"spectral_normalization": "glorot", "gradient_normalization": "he", "aol": "dirac"}
    for name, start in starts.items():
        assert with_start(ResNet(init="method"), [CONSTRAINTS[name]()]).init == start
    assert with_start(DCGAN(), [AOL()]) == DCGAN()
    with pytest.raises(Refusal, match=r"not one start \(aol dirac, weight_clipping normal\); allowed: one of them"):
        with_start(model, [AOL(), WeightClipping()])


def test_every_declared_start_is_known() -> None:
    declared = {start for kind in CONSTRAINTS.values() for start in (kind.start, kind.start_of_residual)}
    assert declared - {None} <= set(get_args(Init))
