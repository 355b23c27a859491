"""Time of a discriminator step with each constraint, for pytest-benchmark: ``pytest benchmarks --benchmark-enable``.

The networks are small, to find regressions between commits. Cited numbers come from ``step_cost.py``.
"""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from workload import dcgan_training

from lipschitz.constraints.base import CONSTRAINTS

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.benchmark(group="discriminator step")
@pytest.mark.parametrize("name", CONSTRAINTS)
def test_discriminator_step(benchmark: BenchmarkFixture, name: str) -> None:
    task = dcgan_training(CONSTRAINTS[name](), width=8, size=32, batch_size=16)
    benchmark.pedantic(task.discriminator_step, warmup_rounds=3, rounds=30)
    assert task.is_finite()
