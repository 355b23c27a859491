"""Where a GAN's discriminator is measured, and from which random streams."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest
import torch
from gan_terms import TERMS, with_terms
from torch import Tensor, nn
from torch.testing import assert_close

from lipschitz.datasets.images.image_data import ImageData
from lipschitz.datasets.images.split import Split
from lipschitz.datasets.points import EightGaussians
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.mlp import MLP
from lipschitz.random_streams import stream
from lipschitz.tasks.generation import evaluation
from lipschitz.tasks.generation.gan_training import GANTraining
from lipschitz.tasks.generation.samples import generate
from lipschitz.tasks.measurement import DiscriminatorMeasurement
from lipschitz.tasks.surfaces import surface_arrays

SEED, N = 3, 8


@pytest.fixture
def task() -> GANTraining:
    data = EightGaussians().load(None, torch.device("cpu"))
    return GANTraining(data, with_terms(TERMS, model=MLP(width=8, depth=1), selection="w1", seed=SEED))


def measured(
    task: GANTraining, draw: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[Mapping[str, Tensor], torch.Generator]:
    """Return the places and the generator that an evaluation measures the discriminator with."""
    seen: list[Any] = []

    def spy(net: Any, places: Any, starts: Any, search: Any, **_: Any) -> DiscriminatorMeasurement:
        seen.append((places, search))
        return DiscriminatorMeasurement({}, {}, {}, {})

    monkeypatch.setattr(evaluation, "measure_discriminator", spy)
    task.evaluate(draw)
    return seen[0]


def test_the_places_by_hand(task: GANTraining, monkeypatch: pytest.MonkeyPatch) -> None:
    old = task.generator(torch.randn(N, 2, generator=stream(SEED, "evaluation/old"))).detach()
    task.step(0.0)
    places, _ = measured(task, "a", monkeypatch)
    assert list(places) == ["real", "fake", "interpolated", "old", "noise"]
    assert {place.shape for place in places.values()} == {(N, 2)}
    real, fake = places["real"], places["fake"]
    epsilon = ((places["interpolated"] - fake) / (real - fake)).mean(dim=1, keepdim=True)
    assert 0 <= epsilon.min() < epsilon.max() < 1
    assert_close(places["interpolated"], fake + epsilon * (real - fake))
    # Between the samples at the last evaluation, here of the initial generator, and the real ones, with the same ε.
    assert_close(places["old"], old + epsilon * (real - old), atol=1e-5, rtol=0)
    extent = max(map(abs, EightGaussians().load(None, torch.device("cpu")).extent))
    assert max(1, extent / 2) < places["noise"].abs().max() <= extent
    assert places["noise"].min() < 0 < places["noise"].max()


def test_samples_of_a_protocol_come_in_batches_of_the_number_that_is_asked_for(
    task: GANTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "BATCH", 5)
    batches = task._evaluator._batches(task.generator, 12, stream(SEED, "x"))
    assert [len(batch) for batch in batches] == [5, 5, 2]


def test_a_conditional_run_s_batches_have_classes_as_frequent_as_in_training() -> None:
    parts = [Split(torch.zeros(40, 1, 8, 8, dtype=torch.uint8), torch.arange(40) % 2) for _ in "ab"]
    data = ImageData.load(*parts, torch.device("cpu"), classes=2)
    built, seen = GANTraining(data, with_terms(TERMS, model=DCGAN(width=2, conditional=True))), []
    built.generator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    list(built._evaluator._batches(built.generator, 20, stream(SEED, "x")))
    ((latents, labels),) = seen
    rng = stream(SEED, "x")
    assert torch.equal(labels, data.draw_classes(20, rng))
    assert torch.equal(latents, torch.randn(latents.shape, generator=rng))
    assert set(labels.tolist()) == {0, 1}


@pytest.mark.parametrize("training", [True, False])
def test_samples_and_surfaces_are_drawn_in_eval_mode_which_is_left_again(training: bool) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)).train(training)
    net[1].running_mean += 5
    before = {name: value.clone() for name, value in net.state_dict().items()}
    x = torch.randn(7, 2)
    found = generate(net, x)
    surface = surface_arrays(net, (-1.0, 1.0, -2.0, 2.0), torch.device("cpu"))["surface"]
    assert net.training is net[1].training is training
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name
    net.eval()
    assert torch.equal(found, net(x))
    assert float(surface[0, 0]) == pytest.approx(net(torch.tensor([[-1.0, -2.0]])).item(), rel=1e-5)
    assert not found.requires_grad


class Judge:
    """Takes the place of a quality or of protocols; remembers how many samples it was given."""

    generated = 3
    protocols: ClassVar[dict[str, Any]] = {"w1": {}}

    def __init__(self) -> None:
        self.seen: list[int] = []

    def measure(self, generated: Any, *_: Tensor) -> dict[str, float]:
        self.seen.append(sum(map(len, generated)) if isinstance(generated, Iterator) else len(generated))
        return {"w1": 1.0}

    def floor(self) -> dict[str, float]:
        return {}


def test_every_draw_has_a_stream_of_its_own(task: GANTraining, monkeypatch: pytest.MonkeyPatch) -> None:
    judge, drawn = Judge(), []

    def named(seed: int, name: str, *device: Any) -> torch.Generator:
        drawn.append((seed, name))
        return stream(seed, name, *device)

    monkeypatch.setattr(evaluation, "stream", named)
    task._evaluator.__dict__ |= {"_quality": judge, "_inception": judge}
    task.evaluate("a")
    assert judge.seen == [32, 3]
    assert drawn == [
        (SEED, f"evaluation/{name}") for name in ("a", "a/protocols", "a/lipschitz", "a/generator gradient")
    ]
    drawn.clear()
    task.facts()
    task.keep_for_next_evaluation()
    task.arrays()
    assert drawn == [(SEED, f"evaluation/{name}") for name in ("floor", "old", "shown")]


@pytest.mark.parametrize(("train", "held_out"), [(12, 18), (18, 12)])
def test_as_many_samples_as_each_part_of_the_data_has(
    train: int, held_out: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [Split(torch.zeros(n, 1, 8, 8, dtype=torch.uint8), torch.arange(n) % 2) for n in (train, held_out)]
    data = ImageData.load(*parts, torch.device("cpu"), classes=2)
    small = GANTraining(data, with_terms(TERMS, model=DCGAN(width=2), samples=32, gradient_samples=20))
    judge = Judge()
    small._evaluator.__dict__["_quality"] = judge
    places, _ = measured(small, "a", monkeypatch)
    assert judge.seen == [12]
    assert {len(place) for place in places.values()} == {12}


def test_without_a_class_in_both_parts_there_is_no_floor() -> None:
    parts = [Split(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.full((4,), label)) for label in (0, 1)]
    data = ImageData.load(*parts, torch.device("cpu"), classes=2)
    apart = GANTraining(data, with_terms(TERMS, model=DCGAN(width=2, conditional=True), samples=4))
    judge = Judge()
    apart._evaluator.__dict__["_quality"] = judge
    assert apart.facts()["floor"] == {}
    assert judge.seen == []


def test_the_search_has_a_stream_of_its_seed_and_draw(task: GANTraining, monkeypatch: pytest.MonkeyPatch) -> None:
    for draw in ("step 0", "best"):
        _, search = measured(task, draw, monkeypatch)
        assert search.initial_seed() == stream(SEED, f"evaluation/{draw}/lipschitz").initial_seed()
