"""Time of a slice of each of 1, 2 and 4 runs that take turns in one process, for pytest-benchmark.

``pytest benchmarks/test_packing.py --benchmark-enable``. On a GPU iterations are captured, with one stream for each
run. Cited numbers come from ``speed.py``.
"""

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from workload import dcgan_training

from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.sweep.timing.throughput import start_run, train_slice
from lipschitz.training.clock import synchronize


@pytest.mark.benchmark(group="a turn of every run")
@pytest.mark.parametrize("runs", [1, 2, 4])
def test_turns(benchmark: BenchmarkFixture, device: torch.device, runs: int) -> None:
    workload = {"width": 4, "size": 16, "batch_size": 8, "device": device}
    runs_at_once = [start_run(lambda: dcgan_training(SpectralNormalization(), **workload), device) for _ in range(runs)]  # type: ignore[arg-type]

    def turn_of_each() -> int:
        made = sum(train_slice(one) for one in runs_at_once)
        synchronize(device)
        return made

    assert benchmark.pedantic(turn_of_each, rounds=5) > 0
