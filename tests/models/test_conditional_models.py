"""Conditional networks: both depend on the class, and constraints and measurements cover every layer."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.testing import assert_close

from lipschitz.constraints.base import CONSTRAINTS, Batch, constrain
from lipschitz.estimation.fixed_labels import Labelled
from lipschitz.estimation.float64_copy import float64_copy
from lipschitz.estimation.layers import input_shapes, weighted_layers
from lipschitz.estimation.lower_bound.gradient_norms import input_gradients, sample_norms
from lipschitz.estimation.sigma.layer_sigmas import layer_sigmas
from lipschitz.estimation.upper_bound.composition import upper_bound, upper_bound_over_classes
from lipschitz.estimation.upper_bound.graph_checks import random_inputs
from lipschitz.estimation.upper_bound.layer_bounds import layer_bounds
from lipschitz.models.conditional import ConditionalBatchNorm2d, ProjectionDiscriminator
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.resnet import ResNet

SHAPE = (1, 8, 8)
CLASSES = 3
BOTH = pytest.mark.parametrize("model", [DCGAN(width=2, conditional=True), ResNet(width=2, conditional=True)])


@BOTH
def test_both_networks_depend_on_the_class(model: Any) -> None:
    torch.manual_seed(0)
    generator, discriminator, latent = model.build(SHAPE, CLASSES)
    for norm in generator.modules():
        if isinstance(norm, ConditionalBatchNorm2d):
            nn.init.normal_(norm.gain)
    z, y = torch.randn(4, latent), torch.tensor([0, 1, 2, 0])
    images = generator.eval()(z, y)
    assert images.shape == (4, *SHAPE)
    assert not torch.allclose(generator(z, (y + 1) % 3), images)
    outputs = discriminator(images, y)
    assert outputs.shape == (4, 1)
    assert not torch.allclose(discriminator(images, (y + 1) % 3), outputs)


@BOTH
def test_unconditional_networks_take_no_labels(model: Any) -> None:
    plain = type(model)(width=2).build(SHAPE, CLASSES)
    assert plain.discriminator(plain.generator(torch.randn(2, plain.latent))).shape == (2, 1)
    with pytest.raises(ValueError, match=r"needs class labels; allowed: data with labels"):
        model.build(SHAPE)


def test_the_projection_discriminator_by_hand() -> None:
    torch.manual_seed(0)
    net = ProjectionDiscriminator(nn.Flatten(), nn.Linear(4, 1), CLASSES)
    x, y = torch.randn(5, 1, 2, 2), torch.tensor([2, 0, 1, 1, 2])
    for index, label in enumerate(y):
        phi = x[index].flatten()
        expected = net.output.weight[0] @ phi + net.output.bias[0] + net.projection.weight[label] @ phi
        assert_close(net(x, y)[index, 0], expected)


def test_conditional_batch_norm_by_hand() -> None:
    norm = ConditionalBatchNorm2d(2, CLASSES)
    assert torch.equal(norm.gain, torch.ones(3, 2))
    with torch.no_grad():
        norm.gain.copy_(torch.tensor([[1.0, 2], [3, 4], [5, 6]]))
        norm.shift.copy_(-norm.gain)
    x, y = torch.randn(4, 2, 3, 3), torch.tensor([0, 2, 1, 2])
    plain = (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), keepdim=True, correction=0) + norm.eps).sqrt()
    gain = norm.gain[y][:, :, None, None]
    assert_close(norm(x, y), gain * plain - gain)


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_every_constraint_trains_a_conditional_discriminator(name: str) -> None:
    constraint = CONSTRAINTS[name]()
    torch.manual_seed(0)
    net = constrain(DCGAN(width=2, conditional=True).build_discriminator(SHAPE, CLASSES), [constraint], SHAPE)
    labels = torch.tensor([0, 1, 2, 0])
    real, fake = torch.randn(4, *SHAPE), torch.randn(4, *SHAPE)
    before = [layer.weight.detach().clone() for _, layer in weighted_layers(net)]
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    view = Labelled(net, labels)
    with torch.no_grad():
        constraint.update(net)
    outputs = view(torch.cat([real, fake]))
    batch = Batch(real, fake, labels, *outputs.chunk(2))
    with torch.no_grad():
        constraint.track(net, batch)
    penalty = constraint.penalty(view, batch, torch.Generator().manual_seed(0))
    (outputs.sum() + penalty).backward()
    optimiser.step()
    with torch.no_grad():
        constraint.project(net)
    names = [name for name, _ in weighted_layers(net)]
    assert names[-1] == "projection"
    moved = dict(zip(names, (layer.weight for _, layer in weighted_layers(net)), strict=True))
    assert not torch.equal(moved["projection"], before[-1])
    assert all(torch.isfinite(weight).all() for weight in moved.values())


def test_labelled_repeats_its_labels_for_real_and_generated_samples() -> None:
    net = ProjectionDiscriminator(nn.Flatten(), nn.Linear(4, 1), CLASSES)
    x, y = torch.randn(3, 1, 2, 2), torch.tensor([2, 0, 1])
    view = Labelled(net, y)
    assert_close(view(torch.cat([x, x])), torch.cat([net(x, y), net(x, y)]))
    assert_close(Labelled(net, y[:1])(x), net(x, y[:1].expand(3)))
    for n in (1, 4):
        with pytest.raises(RuntimeError):
            Labelled(net, y)(torch.randn(n, 1, 2, 2))


def test_the_upper_bound_holds_for_every_class_and_sigma_covers_every_layer() -> None:
    torch.manual_seed(0)
    with float64_copy(DCGAN(width=2, conditional=True).build_discriminator(SHAPE, CLASSES)) as net:
        points = torch.randn(16, *SHAPE, dtype=torch.float64)
        gradients = [input_gradients(Labelled(net, torch.tensor([label])), points) for label in range(CLASSES)]
        steepest = [sample_norms(gradient).max() for gradient in gradients]
        assert list(layer_sigmas(net, points))[-2:] == ["output", "projection"]
        uppers = []
        for label in range(CLASSES):
            view = Labelled(net, torch.tensor([label]))
            uppers.append(upper_bound(view, SHAPE, layer_bounds(view, input_shapes(view, SHAPE)).operators))
        every = upper_bound_over_classes(net, SHAPE, CLASSES)
    assert len({upper.product for upper in uppers}) == 1
    assert all(slope <= upper.constant for slope, upper in zip(steepest, uppers, strict=True))
    assert every.constant == pytest.approx(max(upper.constant for upper in uppers), rel=0.05)
    assert every.product == pytest.approx(uppers[0].product, rel=1e-12)


def test_the_graph_is_checked_on_every_input_for_every_class() -> None:
    called: list[int] = []

    class Gain(nn.Module):
        takes_labels = True

        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding.from_pretrained(torch.tensor([[1.0], [3.0], [2.0]], dtype=torch.float64))

        def forward(self, x: Tensor, labels: Tensor) -> Tensor:
            if not isinstance(x, FakeTensor):
                called.append(int(labels))
            return x * self.table(labels)

    found = upper_bound_over_classes(Gain().eval(), (2,), 3)
    assert found.constant == pytest.approx(3)
    assert min(called.count(label) for label in range(3)) >= len(random_inputs(Gain(), (2,)))
