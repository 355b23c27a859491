"""Time of the Fréchet distance, KID, precision, recall, density and coverage, for pytest-benchmark.

``OMP_NUM_THREADS=2 OPENBLAS_NUM_THREADS=2 pytest benchmarks/test_metrics.py --benchmark-enable``. The environment
variable ``METRIC_SAMPLES`` is the number of real and of generated samples, 10,000 by default. Features have 2,048
dimensions. Where there is a GPU, it is timed too; its numbers must be those of the CPU within 1e-6.
"""

import os

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from lipschitz.metrics.frechet import frechet_of_moments, moments
from lipschitz.metrics.inner_products import add_inner_products, centred
from lipschitz.metrics.mmd import KernelSums
from lipschitz.metrics.precision_recall import NeighbourBalls
from lipschitz.metrics.sample_arrays import as_two_samples

SAMPLES = int(os.environ.get("METRIC_SAMPLES", "10000"))
DIMENSIONS = 2048
Features = tuple[torch.Tensor, torch.Tensor]


@pytest.fixture(scope="module")
def on_cpu() -> Features:
    """Generated, then real features: non-negative and correlated, like those of an Inception network."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(64, DIMENSIONS))
    fake, real = (rng.normal(size=(SAMPLES, 64)) @ mixing + 4 * rng.normal(size=(SAMPLES, DIMENSIONS)) for _ in "ab")
    return torch.from_numpy(np.maximum(fake, 0) / 8), torch.from_numpy(np.maximum(real + 0.2, 0) / 8)


@pytest.fixture
def features(on_cpu: Features, device: torch.device) -> Features:
    """The same on the device that is timed."""
    return on_cpu[0].to(device), on_cpu[1].to(device)


def distance(features: Features) -> float:
    return frechet_of_moments(*map(moments, features))


def pairs(features: Features) -> tuple[float, float]:
    size = min(1000, SAMPLES)
    rng = np.random.default_rng(0)
    samples = centred(*as_two_samples(*features))
    sums = KernelSums(samples, subsets=100, size=size, rng=rng)
    balls = NeighbourBalls(samples, k=5)
    add_inner_products(samples, [sums, balls])
    return sums.kid().mean, balls.result().coverage


@pytest.mark.benchmark(group="metrics of features")
def test_frechet_distance(benchmark: BenchmarkFixture, features: Features) -> None:
    assert np.isfinite(benchmark.pedantic(distance, args=(features,), rounds=1))


@pytest.mark.benchmark(group="metrics of features")
def test_kid_and_neighbours(benchmark: BenchmarkFixture, features: Features) -> None:
    assert np.isfinite(benchmark.pedantic(pairs, args=(features,), rounds=1)).all()


@pytest.mark.benchmark(group="metrics of features")
def test_all_of_them(benchmark: BenchmarkFixture, features: Features) -> None:
    """The cost of an evaluation without the features. The goal is 20 s on two cores."""
    found = benchmark.pedantic(lambda: (distance(features), *pairs(features)), rounds=1)
    assert np.isfinite(found).all()
    if features[0].is_cuda:
        moved = features[0].cpu(), features[1].cpu()
        assert found == pytest.approx((distance(moved), *pairs(moved)), rel=1e-6)
