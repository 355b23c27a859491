"""Conditional runs: labels reach every network and penalty, and change nothing of runs without them."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from gan_terms import TERMS, with_terms
from torch.testing import assert_close

from lipschitz.constraints.base import Batch, Constraint
from lipschitz.constraints.gradient_penalty import GradientPenalty
from lipschitz.constraints.none import NoConstraint
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.constraints.zero_centered_penalty import ZeroCenteredPenalty
from lipschitz.datasets.images.digits import Digits
from lipschitz.datasets.images.image_data import ImageData
from lipschitz.datasets.images.split import Split
from lipschitz.estimation.fixed_labels import Labelled
from lipschitz.estimation.layers import weighted_layers
from lipschitz.estimation.lower_bound import steepest_class
from lipschitz.estimation.lower_bound.search import LowerBound, lower_bound
from lipschitz.features import reference_classifier
from lipschitz.models.base import PairModel
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.resnet import ResNet
from lipschitz.tasks.generation.gan_training import GANTraining

CPU = torch.device("cpu")
SEEN: list[Batch] = []


class Spy(Constraint):
    """Remembers the batches that the discriminator saw."""

    promise = "none"
    source = "this test"

    def penalty(self, net: Any, batch: Batch, rng: torch.Generator) -> torch.Tensor:
        SEEN.append(batch)
        return super().penalty(net, batch, rng)


def conditional(*constraints: Constraint, model: PairModel | None = None, data: ImageData | None = None) -> GANTraining:
    return GANTraining(
        data or Digits().load(None, CPU),
        with_terms(
            TERMS,
            model=model or DCGAN(width=4, conditional=True),
            constraints=constraints or (NoConstraint(),),
            batch_size=16,
            samples=64,
            gradient_samples=16,
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
    tables = {name for name in before if name.endswith(("norm.gain", "norm.shift"))}
    assert tables
    assert tables <= set(moved)


def test_the_bracket_is_searched_at_the_class_of_the_steepest_point(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[int] = []

    def spy(net: Any, *arguments: Any, **keywords: Any) -> LowerBound:
        searched.append(int(net.labels))
        return lower_bound(net, *arguments, **keywords)

    monkeypatch.setattr(steepest_class, "lower_bound", spy)
    task = conditional(GradientPenalty())
    with torch.no_grad():
        # One class whose slope is far above that of all others.
        task.discriminator.projection.weight[7] *= 50  # type: ignore[union-attr,index]
    values = task.evaluate("a")
    assert searched[0] == 7
    assert 0 < values["lipschitz_lower"] <= values["lipschitz_upper"] < float("inf")
    assert "sigma_operator/projection" in values
    steepest = max(values[f"gradient_norm_max/{place}"] for place in ("real", "fake", "interpolated", "old", "noise"))
    assert steepest * (1 - 1e-8) <= values["lipschitz_lower"]


def test_generated_classes_are_as_frequent_as_in_training() -> None:
    split = Split(torch.zeros(100, 1, 8, 8, dtype=torch.uint8), torch.tensor([0] * 90 + [1] * 10))
    data = ImageData.load(split, split, CPU, classes=2)
    drawn = data.draw_classes(1000, torch.Generator().manual_seed(0))
    assert 0.05 < float(drawn.double().mean()) < 0.15


def test_a_row_of_what_is_shown_is_a_class_and_a_column_a_latent() -> None:
    task, seen = conditional(), []
    task.generator.register_forward_hook(lambda _, args, output: seen.append((*args, output)))
    arrays = task.arrays()
    ((latents, labels, output),) = seen
    assert arrays["labels"].tolist() == labels.tolist() == [k for k in range(10) for _ in range(8)]
    for row in latents.view(10, 8, -1):
        assert torch.equal(row, latents[:8])
    assert len(latents[:8].unique(dim=0)) == 8
    shown = torch.from_numpy(arrays["samples"]).permute(0, 3, 1, 2)
    assert_close(shown.float() / 127.5 - 1, output, rtol=0, atol=1 / 127)
    assert "class_names" not in arrays, "digits are their own names"
    data = Digits().load(None, CPU)
    assert data.train.labels is not None
    for image, label in zip(torch.from_numpy(arrays["real"]).permute(0, 3, 1, 2), arrays["labels"], strict=True):
        assert label in data.train.labels[(data.train.images == image).flatten(1).all(1)]


def test_the_first_classes_are_shown_with_their_names() -> None:
    rng = torch.Generator().manual_seed(0)
    split = Split(torch.randint(256, (36, 1, 8, 8), generator=rng, dtype=torch.uint8), torch.arange(36) % 12)
    names = [f"kind {k}" for k in range(12)]
    task = conditional(model=DCGAN(width=2, conditional=True), data=ImageData.load(split, split, CPU, 12, names))
    arrays = task.arrays()
    assert arrays["class_names"].tolist() == names[:10]
    assert arrays["labels"].max() == 9
    real = arrays["real"].reshape(10, 8, 8, 8)
    assert (real[:, 3:] == real[0, 3, 0, 0]).all(), "grey where a class has no further image"
    assert not any((image == image[0, 0]).all() for row in real[:, :3] for image in row)
    with pytest.raises(ValueError, match="expected 12 class names, got 3"):
        ImageData.load(split, split, CPU, 12, names[:3])


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
    floor, rows = data.labelled_floor(labels, torch.Generator().manual_seed(0))
    drawn = ((floor + 1) * 127.5).round().to(torch.uint8)
    places = [(data.train.images == image).flatten(1).all(1).nonzero()[0].item() for image in drawn]
    assert torch.equal(data.train.labels[places], labels)
    assert torch.equal(rows, torch.arange(40))
    assert len(set(places)) == 40


def test_the_floor_leaves_out_what_there_are_too_few_of() -> None:
    split = Split(torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1), torch.tensor([0, 0, 0, 0, 1, 1]))
    data = ImageData.load(split, split, CPU, classes=2)
    floor, rows = data.labelled_floor(torch.tensor([1, 0, 1, 1]), torch.Generator().manual_seed(0))
    assert torch.equal(rows, torch.tensor([0, 1, 2]))
    assert sorted(((floor + 1) * 127.5).round().flatten().tolist())[1:] == [4, 5]


def test_a_small_data_set_trains_to_its_end() -> None:
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(256, (30, 1, 8, 8), generator=rng, dtype=torch.uint8)
    train, held_out = Split(images[:12], torch.arange(12) % 3), Split(images[12:], torch.arange(18) % 3)
    for model in (DCGAN(width=2), DCGAN(width=2, conditional=True)):
        task = conditional(model=model, data=ImageData.load(train, held_out, CPU, classes=3))
        task.step(0.0)
        assert task.facts()["floor"]["frechet_classifier"] > 0
        arrays = task.arrays()
        assert len(arrays["real"]) == len(arrays["samples"]) == (24 if model.conditional else 12)


def test_one_image_with_another_of_its_class_is_no_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    train_classifier = reference_classifier.train
    monkeypatch.setattr(
        reference_classifier, "train", lambda data, recipe: train_classifier(data, replace(recipe, steps=2))
    )
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(256, (10, 1, 8, 8), generator=rng, dtype=torch.uint8)
    train, held_out = Split(images[:8], torch.zeros(8, dtype=torch.int64)), Split(images[8:], torch.tensor([0, 1]))
    task = conditional(model=DCGAN(width=2, conditional=True), data=ImageData.load(train, held_out, CPU, classes=2))
    assert task.facts()["floor"] == {}
