"""Networks of classifiers: numbers of parameters worked out by hand, shapes, fields, and certified constraints."""

import pytest
import torch
from torch import nn

from lipschitz.constraints.aol import AOL
from lipschitz.constraints.base import Refusal, constrain
from lipschitz.estimation.float64_copy import float64_copy
from lipschitz.estimation.upper_bound.composition import upper_bound
from lipschitz.models.base import ClassifierModel
from lipschitz.models.classifier_blocks import ImageClassifier
from lipschitz.models.cnn_4c3f import CNN4C3F
from lipschitz.models.gouk_cnn import GoukCNN
from lipschitz.models.mlp_classifier import MLPClassifier
from lipschitz.models.resnet18 import ResNet18
from lipschitz.models.vgg import VGG

MNIST, CIFAR = (1, 28, 28), (3, 32, 32)
NARROW = [
    (GoukCNN(width=2), (1, 8, 8)),
    (CNN4C3F(width=2), (1, 8, 8)),
    (VGG(width=2, layout="lite"), (3, 8, 8)),
    (ResNet18(width=2, batch_norm=False), (3, 8, 8)),
]


def conv(inputs: int, outputs: int, kernel: int) -> int:
    return inputs * outputs * kernel**2 + outputs


def dense(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


@pytest.mark.parametrize(
    ("model", "shape", "expected"),
    [
        # Maps of 28, 14, 7 pixels.
        (GoukCNN(), MNIST, conv(1, 64, 5) + conv(64, 128, 5) + dense(128 * 49, 128) + dense(128, 10)),
        (GoukCNN(), MNIST, 1_010_826),
        (GoukCNN(width=16), MNIST, conv(1, 16, 5) + conv(16, 32, 5) + dense(32 * 49, 32) + dense(32, 10)),
        # γ and β for each channel and unit of hidden layers.
        (GoukCNN(batch_norm=True), MNIST, 1_010_826 + 2 * (64 + 128 + 128)),
        (CNN4C3F(), MNIST, 1_974_762),
        (
            CNN4C3F(),
            CIFAR,
            conv(3, 32, 3)
            + conv(32, 32, 4)
            + conv(32, 64, 3)
            + conv(64, 64, 4)
            + dense(64 * 64, 512)
            + dense(512, 512)
            + dense(512, 10),
        ),
        (VGG(), CIFAR, 9_225_610),
        (VGG(batch_norm=True), CIFAR, 9_225_610 + 2 * (64 + 128 + 2 * 256 + 4 * 512)),
        (VGG(), MNIST, conv(1, 64, 3) + conv(64, 128, 3) + conv(128, 256, 3) + dense(256 * 9, 10)),
        (ResNet18(), CIFAR, 11_173_962),
        (MLPClassifier(width=512, depth=2), MNIST, dense(784, 512) + dense(512, 512) + dense(512, 10)),
        (MLPClassifier(width=8, depth=3), CIFAR, dense(3072, 8) + 2 * dense(8, 8) + dense(8, 10)),
    ],
)
def test_numbers_of_parameters(model: ClassifierModel, shape: tuple[int, ...], expected: int) -> None:
    with torch.device("meta"):
        net = model.build_classifier(shape, 10)
    assert sum(parameter.numel() for parameter in net.parameters()) == expected


def test_the_residual_network_by_layers() -> None:
    # Convolutions without biases: stem, and two of each of two blocks a stage; shortcuts of three stages; γ and β.
    def stage(inputs: int, outputs: int) -> int:
        shortcut = inputs * outputs + 2 * outputs if inputs != outputs else 0
        return 9 * (inputs * outputs + 3 * outputs**2) + 4 * 2 * outputs + shortcut

    stages = stage(64, 64) + stage(64, 128) + stage(128, 256) + stage(256, 512)
    assert 27 * 64 + 128 + stages + dense(512, 10) == 11_173_962


@pytest.mark.parametrize(("model", "shape"), NARROW)
@pytest.mark.parametrize("activation", ["relu", "group_sort"])
def test_logits_and_fields(model: ImageClassifier, shape: tuple[int, ...], activation: str) -> None:
    other = model.model_copy(update={"activation": activation, "dropout": 0.5, "batch_norm": True})
    net = other.build_classifier(shape, 6).train()
    x = torch.randn(3, *shape)
    assert net(x).shape == (3, 6)
    names = {type(module).__name__ for module in net.modules()}
    assert ("GroupSort" in names) == (activation == "group_sort")
    assert "Dropout" in names
    assert any(isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d) for module in net.modules())
    assert not torch.equal(net(x), net(x))
    assert torch.equal(net.eval()(x), net(x))
    plain = model.build_classifier(shape, 6)
    assert not any(isinstance(module, nn.Dropout | nn.BatchNorm2d) for module in plain.modules())


@pytest.mark.parametrize(("model", "shape"), NARROW)
def test_certified_constraints_bound_the_network(model: ImageClassifier, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    sorting = model.model_copy(update={"activation": "group_sort"})
    net = constrain(sorting.build_classifier(shape, 4), [AOL()], shape)
    with float64_copy(net) as twin:
        bound = upper_bound(twin, shape, flops=0).constant
        x, y = torch.randn(2, 50, *shape, dtype=torch.float64)
        slopes = torch.linalg.vector_norm(twin(x) - twin(y), dim=1) / torch.linalg.vector_norm(
            (x - y).flatten(1), dim=1
        )
    assert 0 < slopes.max() <= bound
    assert slopes.max() <= 1


def test_certified_constraints_bound_dropout_in_eval_mode_and_refuse_batch_normalization() -> None:
    torch.manual_seed(0)
    net = constrain(VGG(width=2, layout="lite", dropout=0.5).build_classifier(CIFAR, 4), [AOL()], CIFAR)
    with float64_copy(net) as twin:
        assert upper_bound(twin, CIFAR, flops=0).constant <= 1
    with pytest.raises(Refusal, match=r"aol cannot bound .*norm' \(BatchNorm2d\)"):
        constrain(VGG(width=2, layout="lite", batch_norm=True).build_classifier(CIFAR, 4), [AOL()], CIFAR)


def test_wrong_sizes_are_refused() -> None:
    for model, shape, said in (
        (VGG(layout="vgg11"), MNIST, "vgg takes images of 32x32 pixels or more, not 28x28"),
        (CNN4C3F(), (1, 30, 30), "cnn_4c3f takes images whose size is a multiple of 4, not 30x30"),
        (GoukCNN(), (1, 28, 20), r"gouk_cnn takes square images \(c, s, s\), got samples of shape \(1, 28, 20\)"),
        (ResNet18(), (7,), "resnet18 takes square images"),
        (GoukCNN(width=3, activation="group_sort"), MNIST, "even widths"),
    ):
        with pytest.raises(ValueError, match=said):
            model.build_classifier(shape, 10)


def test_gouks_cnn_drops_out_before_pooling() -> None:
    net = GoukCNN(width=2, conv_dropout=0.2).build_classifier(MNIST, 10)
    for block in net.get_submodule("blocks").children():
        assert list(dict(block.named_children())) == ["conv", "norm", "activation", "dropout", "pool"]
