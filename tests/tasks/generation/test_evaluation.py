"""Where a GAN's discriminator is measured, and from which random streams."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from gan_terms import TERMS, with_terms
from torch import Tensor
from torch.testing import assert_close

from lipschitz.datasets.points import EightGaussians
from lipschitz.models.mlp import MLP
from lipschitz.random_streams import stream
from lipschitz.tasks.generation import evaluation
from lipschitz.tasks.generation.gan_training import GANTraining
from lipschitz.tasks.measurement import DiscriminatorMeasurement

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

    def spy(net: Any, places: Any, starts: Any, search: Any) -> DiscriminatorMeasurement:
        seen.append((places, search))
        return DiscriminatorMeasurement({}, {}, {})

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
    assert places["noise"].abs().max() <= extent
    assert places["noise"].min() < 0 < places["noise"].max()


def test_the_search_has_a_stream_of_its_seed_and_draw(task: GANTraining, monkeypatch: pytest.MonkeyPatch) -> None:
    for draw in ("step 0", "best"):
        _, search = measured(task, draw, monkeypatch)
        assert search.initial_seed() == stream(SEED, f"evaluation/{draw}/lipschitz").initial_seed()
