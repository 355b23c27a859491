"""Runs that take turns in one process, for pytest-benchmark: a slice of each of 1, 2 and 4 of them.

``pytest benchmarks/test_packing.py --benchmark-enable``; on a GPU captured, each run on a stream of its own. What is
cited comes from ``speed.py``.
"""

import pytest
import torch
from discriminator import generation
from pytest_benchmark.fixture import BenchmarkFixture

from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.sweep.timing.throughput import start_run, train_slice
from lipschitz.training.clock import synchronize

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.benchmark(group="a turn of every run")
@pytest.mark.parametrize("runs", [1, 2, 4])
@pytest.mark.parametrize("device", [torch.device("cpu"), pytest.param(torch.device("cuda"), marks=GPU)], ids=str)
def test_turns(benchmark: BenchmarkFixture, device: torch.device, runs: int) -> None:
    workload = {"width": 4, "size": 16, "batch_size": 8, "device": device}
    packed = [start_run(lambda: generation(SpectralNormalization(), **workload), device) for _ in range(runs)]  # type: ignore[arg-type]

    def everyone() -> int:
        made = sum(map(train_slice, packed))
        synchronize(device)
        return made

    assert benchmark.pedantic(everyone, rounds=5) > 0
