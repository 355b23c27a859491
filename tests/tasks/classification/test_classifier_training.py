"""Classifiers in training: what must not depend on the constraint, exact resuming, and captured steps."""

import copy
from collections.abc import Callable

import pytest
import torch
from small_classification_task import classification
from torch import Tensor, nn

from lipschitz.constraints.base import Batch, Constraint
from lipschitz.constraints.consistency_regularization import ConsistencyRegularization
from lipschitz.constraints.gradient_penalty import GradientPenalty
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.constraints.weight_clipping import WeightClipping
from lipschitz.constraints.zero_centered_penalty import ZeroCenteredPenalty
from lipschitz.estimation.layers import raw_weight, weighted_layers
from lipschitz.models.mlp_classifier import MLPClassifier
from lipschitz.tasks.augmentation import Crop, Flip
from lipschitz.tasks.classification.classifier_training import ClassifierTraining
from lipschitz.tasks.classification.penalised import Penalised, Scalar
from lipschitz.tasks.losses import CrossEntropy, HingeMargin
from lipschitz.tasks.optimisers import Adam
from lipschitz.tasks.settings import Setting

DROPPING = MLPClassifier(width=8, depth=2, dropout=0.3)

RUNS: dict[str, Callable[[], ClassifierTraining]] = {
    "none": classification,
    "spectral normalization": lambda: classification(SpectralNormalization()),
    "penalty, dropout, augmentation": lambda: classification(
        ZeroCenteredPenalty(), model=DROPPING, augment=(Crop(padding=1), Flip())
    ),
    "random points": lambda: classification(GradientPenalty(points="perturbed_real", one_sided=True), model=DROPPING),
    "consistency": lambda: classification(ConsistencyRegularization(shift=1)),
    "amsgrad and steps": lambda: classification(
        setting=Setting(optimiser=Adam(amsgrad=True), decay="step", decay_every=0.02),
        loss=HingeMargin(),
        train_size=20,
    ),
}


def steps(task: ClassifierTraining, first: int, last: int) -> None:
    for step in range(first, last):
        task.step(torch.tensor(step / 100, dtype=torch.float64))


def states_equal(one: ClassifierTraining, other: ClassifierTraining) -> bool:
    ours, theirs = one.classifier.state_dict(), other.classifier.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in ours.items())


@pytest.mark.parametrize("name", RUNS)
def test_a_resumed_run_repeats_every_bit(name: str) -> None:
    whole, first, second = (RUNS[name]() for _ in range(3))
    # What another run draws from torch's generator must not matter.
    torch.manual_seed(1)
    steps(whole, 0, 9)
    steps(first, 0, 4)
    torch.manual_seed(2)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    steps(second, 4, 9)
    assert states_equal(second, whole)
    assert not states_equal(first, whole)
    assert second.evaluate("a") == whole.evaluate("a")


CALLS: list[str] = []


class Counted(CrossEntropy):
    """Notes each call."""

    named = "counted"

    def of_samples(self, logits: Tensor, labels: Tensor) -> Tensor:
        CALLS.append("loss")
        return super().of_samples(logits, labels)


@pytest.mark.parametrize(
    ("constraints", "calls"), [((), 1), ((WeightClipping(),), 1), ((ConsistencyRegularization(shift=1),), 3)]
)
def test_a_step_computes_the_loss_again_for_penalties_alone(constraints: tuple[Constraint, ...], calls: int) -> None:
    task = classification(*constraints, loss=Counted())
    CALLS.clear()
    task.step(0.0)
    assert len(CALLS) == calls


SEEN: list[Tensor] = []


class Spy(Constraint):
    """Remembers the images that the classifier saw."""

    promise = "none"
    source = "this test"

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        assert batch.fake is None
        SEEN.append(batch.real.clone())
        return torch.zeros(())


def seen_by(*constraints: Constraint, evaluated: bool = False) -> tuple[list[Tensor], ClassifierTraining]:
    SEEN.clear()
    task = classification(*constraints, Spy(), augment=(Crop(padding=1),))
    start = copy.deepcopy(task)
    for step in range(3):
        task.step(step / 100)
        if evaluated:
            task.evaluate("a")
            task.keep_for_next_evaluation()
    return list(SEEN), start


@pytest.mark.parametrize("method", [WeightClipping, SpectralNormalization, ZeroCenteredPenalty])
def test_methods_start_alike_and_see_the_same_images(method: Callable[[], Constraint]) -> None:
    (ours, start), (theirs, other) = seen_by(method(), evaluated=True), seen_by()
    assert len(ours) == 3
    assert all(torch.equal(one, two) for one, two in zip(ours, theirs, strict=True))
    for (_, layer), (_, plain) in zip(
        weighted_layers(start.classifier), weighted_layers(other.classifier), strict=True
    ):
        assert torch.equal(raw_weight(layer), raw_weight(plain))


def test_it_learns_and_records_accuracy_loss_and_bracket() -> None:
    task = classification(steps=60)
    before = task.evaluate("a")
    steps(task, 0, 60)
    after = task.evaluate("b")
    assert after["accuracy/train"] > 0.95
    assert after["accuracy/test"] > 0.9
    assert after["cross_entropy/validation"] < before["cross_entropy/validation"]
    assert 0 < after["lipschitz_lower"] <= after["lipschitz_upper"]
    floor = task.facts()["floor"]
    # Three classes of ten test images each.
    assert floor["accuracy/test"] == pytest.approx(1 / 3)
    assert floor["cross_entropy/test"] == pytest.approx(float(torch.tensor(3.0).log()), rel=1e-2)


def test_accuracy_and_loss_by_hand() -> None:
    task = classification(validation=0.0)
    for _, layer in weighted_layers(task.classifier):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    last = [layer for _, layer in weighted_layers(task.classifier)][-1]
    last.bias.data = torch.tensor([2.0, 0.0, 0.0])
    values = task.evaluate("a")
    assert "accuracy/validation" not in values
    # Class 0 is said of every image; a third is of it. The loss is log(e² + 2) less two for that third.
    assert values["accuracy/test"] == pytest.approx(1 / 3)
    expected = float((torch.tensor(2.0, dtype=torch.float64).exp() + 2).log()) - 2 / 3
    assert values["cross_entropy/test"] == pytest.approx(expected, rel=1e-6)


def test_the_best_step_is_evaluated_as_it_was() -> None:
    task = classification(SpectralNormalization())
    steps(task, 0, 3)
    task.evaluate("a")
    task.keep_for_next_evaluation()
    kept, values = copy.deepcopy(task.snapshot()), task.evaluate("b")
    steps(task, 3, 6)
    task.load_snapshot(kept)
    assert task.evaluate("b") == values


@pytest.mark.parametrize(
    ("scalar", "expected"),
    # Logits (2, 0, 1) of an image of class 0: the loss is log(1 + e^-2 + e^-1), the largest other logit 1.
    [("loss", 0.4076059644), ("logit", 2.0), ("margin", 1.0)],
)
def test_what_a_penalty_sees_of_a_classifier(scalar: Scalar, expected: float) -> None:
    class Fixed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.tensor([2.0, 0.0, 1.0]).repeat(len(x), 1)

    seen = Penalised(Fixed(), torch.tensor([0, 0]), scalar, CrossEntropy())(torch.zeros(4, 1, 2, 2))
    assert seen.shape == (4, 1)
    assert seen.flatten().tolist() == pytest.approx([expected] * 4)


def test_the_gradient_penalty_of_a_linear_classifier_by_hand() -> None:
    # γ/2 |∇ of the logit of the class|² = 5 · 3² at every image, whatever its class.
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    net[1].weight.data = torch.zeros(3, 16)
    net[1].weight.data[:, 0] = 3.0
    batch = Batch(torch.randn(4, 1, 4, 4), None)
    seen = Penalised(net, torch.tensor([0, 1, 2, 0]), "logit", CrossEntropy())
    found = ZeroCenteredPenalty().penalty(seen, batch, torch.Generator())
    assert found.item() == pytest.approx(45.0)


def test_a_crop_shifts_each_image_by_up_to_its_padding() -> None:
    images = torch.zeros(200, 1, 5, 5)
    images[:, 0, 2, 2] = 1.0
    cropped = Crop(padding=1).augment(images, torch.Generator().manual_seed(0))
    places = {tuple(place[2:]) for place in cropped.nonzero().tolist()}
    assert cropped.sum() == 200
    assert places == {(row, column) for row in (1, 2, 3) for column in (1, 2, 3)}
