"""Conditional runs: labels reach every network and penalty, and change nothing of runs without them."""

import copy
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from lipschitz.constraints.base import Batch, Constraint
from lipschitz.constraints.gradient_penalty import GradientPenalty
from lipschitz.constraints.none import NoConstraint
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.constraints.zero_centered_penalty import ZeroCenteredPenalty
from lipschitz.datasets.digits import Digits
from lipschitz.estimation.labels import Labelled
from lipschitz.estimation.layers import weighted_layers
from lipschitz.models.base import PairModel
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.resnet import ResNet
from lipschitz.tasks.generation import Generation
from lipschitz.tasks.losses import LOSSES
from lipschitz.tasks.settings import SETTINGS
from lipschitz.tasks.terms import Terms

CPU = torch.device("cpu")
SEEN: list[Batch] = []


class Spy(Constraint):
    """Remembers the batches that the discriminator saw."""

    promise = "none"
    source = "this test"

    def penalty(self, net: Any, batch: Batch, rng: torch.Generator) -> torch.Tensor:
        SEEN.append(batch)
        return super().penalty(net, batch, rng)


def conditional(*constraints: Constraint, model: PairModel | None = None) -> Generation:
    return Generation(
        Digits().load(None, CPU),
        Terms(
            model or DCGAN(width=4, conditional=True),
            constraints or (NoConstraint(),),
            LOSSES["hinge"],
            SETTINGS["C"],
            seed=0,
            batch_size=16,
            samples=64,
            gradient_samples=16,
            selection="frechet_classifier",
            device=CPU,
        ),
    )


def test_a_penalty_is_given_the_classes_of_the_real_samples() -> None:
    SEEN.clear()
    task = conditional(Spy())
    task.discriminator_step()
    (batch,) = SEEN
    data = Digits().load(None, CPU)
    assert batch.labels is not None
    # Each real sample is one of its class.
    for image, label in zip(batch.real, batch.labels, strict=True):
        pixels = ((image + 1) * 127.5).round().to(torch.uint8)
        same = (data.train.images == pixels).flatten(1).all(1)
        assert data.train.labels is not None
        assert label in data.train.labels[same]


def test_real_samples_are_those_of_an_unconditional_run() -> None:
    batches = []
    for model in (DCGAN(width=4, conditional=True), DCGAN(width=4)):
        SEEN.clear()
        conditional(Spy(), model=model).discriminator_step()
        batches.append(SEEN[0].real)
    assert torch.equal(*batches)


@pytest.mark.parametrize(
    "constraint", [NoConstraint(), GradientPenalty(), ZeroCenteredPenalty(), SpectralNormalization()]
)
def test_training_moves_every_table_of_a_class(constraint: Constraint) -> None:
    task = conditional(constraint, model=ResNet(width=4, conditional=True))
    before = {name: value.detach().clone() for name, value in task.generator.named_parameters()}
    layers = dict(weighted_layers(task.discriminator))
    embedding = layers["projection"].weight.detach().clone()
    for _ in range(3):
        task.step(0.0)
    assert task.is_finite()
    assert not torch.equal(layers["projection"].weight, embedding)
    moved = [name for name, value in task.generator.named_parameters() if not torch.equal(value, before[name])]
    assert any(name.endswith("norm.gain") for name in moved)


def test_the_bracket_is_that_of_the_worst_class() -> None:
    task = conditional(GradientPenalty())
    for _ in range(3):
        task.step(0.0)
    values = task.evaluate("a")
    assert 0 < values["lipschitz_lower"] <= values["lipschitz_upper"] < float("inf")
    assert "sigma_operator/projection" in values
    steepest = max(values[f"gradient_norm_max/{place}"] for place in ("real", "fake", "interpolated", "old", "noise"))
    assert steepest * (1 - 1e-8) <= values["lipschitz_lower"]


def test_shown_samples_are_in_the_order_of_the_classes() -> None:
    task = conditional()
    with torch.no_grad():
        for name, value in task.generator.named_parameters():
            if name.endswith("shift"):
                # A class apart from all others, so that it shows.
                value.zero_()[9].fill_(5.0)
    samples = torch.from_numpy(task.arrays()["samples"]).float()
    labels = torch.arange(64) * 10 // 64
    others = samples[labels < 9].mean(0)
    apart = (samples - others).abs().mean((1, 2, 3))
    assert apart[labels == 9].min() > apart[labels < 9].max()


def test_state_round_trip_goes_on_bit_for_bit() -> None:
    task = conditional(SpectralNormalization())
    task.step(0.0)
    state = copy.deepcopy(task.state_dict())
    other = conditional(SpectralNormalization())
    other.load_state_dict(state)
    for one in (task, other):
        one.step(0.5)
    for ours, theirs in zip(task.generator.parameters(), other.generator.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_view_of_fixed_labels_has_the_gradient_of_the_network() -> None:
    task = conditional()
    x, y = torch.randn(6, 1, 8, 8, requires_grad=True), torch.arange(6)
    (ours,) = torch.autograd.grad(Labelled(task.discriminator, y)(x).sum(), x)
    (theirs,) = torch.autograd.grad(task.discriminator(x, y).sum(), x)
    assert_close(ours, theirs)


def test_the_floor_of_a_conditional_run_compares_class_by_class() -> None:
    task = conditional()
    floor = task.facts()["floor"]
    values = task.evaluate("a")
    assert set(floor) == {"frechet_classifier", "w1_classifier", "kid_classifier", "intra_frechet_classifier"}
    assert 0 < floor["intra_frechet_classifier"] < values["intra_frechet_classifier"]


def test_the_floor_of_a_class_holds_images_of_that_class_none_twice() -> None:
    data = Digits().load(None, CPU)
    labels = torch.arange(40) % 10
    assert data.train.labels is not None
    drawn = ((data.floor_of(labels, torch.Generator().manual_seed(0)) + 1) * 127.5).round().to(torch.uint8)
    places = [(data.train.images == image).flatten(1).all(1).nonzero()[0].item() for image in drawn]
    assert torch.equal(data.train.labels[places], labels)
    assert len(set(places)) == 40
    with pytest.raises(ValueError, match=r"1000 images of class 3 asked for where there are"):
        data.floor_of(torch.full((1000,), 3), torch.Generator())
