"""The discriminator step of each constraint, for pytest-benchmark: ``pytest benchmarks --benchmark-enable``.

Small enough to be watched for regressions from commit to commit; what is cited comes from ``step_cost.py``.
"""

import pytest
from discriminator import generation
from pytest_benchmark.fixture import BenchmarkFixture

from lipschitz.constraints.catalogue import CONSTRAINTS

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.benchmark(group="discriminator step")
@pytest.mark.parametrize("name", CONSTRAINTS)
def test_discriminator_step(benchmark: BenchmarkFixture, name: str) -> None:
    task = generation(CONSTRAINTS[name](), width=8, size=32, batch_size=16)
    benchmark.pedantic(task.discriminator_step, warmup_rounds=3, rounds=30)
    assert task.is_finite()
