"""Time to draw a batch of points, pairs or images, from the device, from memory or from files, for pytest-benchmark.

``pytest benchmarks/test_batches.py --benchmark-enable``. With a GPU each benchmark runs on both devices.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor
from workload import noise_images

from lipschitz.datasets.base import DATASETS
from lipschitz.datasets.images.folder import Folder
from lipschitz.datasets.images.image_data import Split, to_floats
from lipschitz.datasets.images.streaming import StreamedSplit
from lipschitz.random_streams import stream
from lipschitz.training.clock import synchronize

BATCH, SIZE, PICTURES = 64, 32, 256


def time_batches(benchmark: BenchmarkFixture, draw: Callable[[], Tensor], device: torch.device) -> None:
    def call() -> Tensor:
        drawn = draw()
        synchronize(device)
        return drawn

    assert len(benchmark.pedantic(call, warmup_rounds=3, rounds=50)) == BATCH


@pytest.mark.benchmark(group="a batch of points")
@pytest.mark.parametrize("name", [name for name, kind in DATASETS.items() if kind.kind == "points"])
def test_points(benchmark: BenchmarkFixture, name: str, device: torch.device) -> None:
    data, rng = DATASETS[name]().load(None, device), stream(0, "data", device)
    time_batches(benchmark, lambda: data.batch(BATCH, rng), device)  # type: ignore[union-attr]


@pytest.mark.benchmark(group="a batch of P and Q")
@pytest.mark.parametrize("name", [name for name, kind in DATASETS.items() if kind.kind == "pairs"])
def test_pairs(benchmark: BenchmarkFixture, name: str, device: torch.device) -> None:
    data, rng = DATASETS[name]().load(None, device), stream(0, "data", device)
    time_batches(benchmark, lambda: data.source(BATCH, rng) - data.target(BATCH, rng), device)  # type: ignore[union-attr]


@pytest.mark.benchmark(group="a batch of images")
def test_images_on_the_device(benchmark: BenchmarkFixture, device: torch.device) -> None:
    data, rng = noise_images(SIZE, device), stream(0, "data", device)
    time_batches(benchmark, lambda: data.batch(BATCH, rng), device)


@pytest.mark.benchmark(group="a batch of images")
def test_images_streamed_from_memory(benchmark: BenchmarkFixture, device: torch.device) -> None:
    train = noise_images(SIZE).train
    assert isinstance(train, Split)
    streamed, rng = StreamedSplit(train, device), stream(0, "data", device)
    time_batches(benchmark, lambda: to_floats(streamed.draw(BATCH, rng)[0]), device)


@pytest.mark.benchmark(group="a batch of images")
def test_images_streamed_from_pictures(
    benchmark: BenchmarkFixture, device: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index, pixels in enumerate(noise_images(SIZE).train.take(torch.arange(PICTURES)).permute(0, 2, 3, 1).numpy()):
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
    monkeypatch.setattr("lipschitz.datasets.images.placement.memory_limit", lambda _: 0)
    data, rng = Folder(folder=str(tmp_path), size=SIZE).load(None, device), stream(0, "data", device)
    time_batches(benchmark, lambda: data.batch(BATCH, rng), device)
