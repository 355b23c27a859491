"""The throughput of packs: how many runs at once are measured, and which number is chosen."""

from pathlib import Path
from typing import Any

import pytest
import torch
from sweeps import ONE_CPU, write

from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.timing.throughput import Pack, best_pack, throughputs
from lipschitz.training.iterations import TOGETHER, WARM_UP
from lipschitz.training.loop import SLICE

CPU = torch.device("cpu")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(load_sweep(write(tmp_path)).runs[0], tmp_path, ONE_CPU, "cpu", {})


def test_the_fewest_runs_that_are_nearly_the_fastest_are_chosen() -> None:
    packs = [Pack(1, 100, 0), Pack(2, 190, 0), Pack(4, 290, 0), Pack(8, 300, 0)]
    assert best_pack(packs) == 4
    assert best_pack(packs[:2]) == 2
    assert best_pack([]) == 1


def test_throughput_is_tried_until_more_runs_gain_little(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Any] = []

    def build() -> Any:
        built.append(job.build())
        return built[-1]

    speeds = iter([100.0, 150.0, 151.0])
    monkeypatch.setattr("lipschitz.sweep.timing.throughput.iterations_per_second", lambda *_: next(speeds))
    packs = list(throughputs(build, CPU))
    assert [(pack.runs, pack.iterations_per_second) for pack in packs] == [(1, 100), (2, 150), (4, 151)]
    assert len(built) == 4


def test_runs_that_share_a_device_are_counted_together(job: Job) -> None:
    tasks: list[Any] = []

    def build() -> Any:
        tasks.append(job.build())
        return tasks[-1]

    (one, two) = throughputs(build, CPU, sizes=(1, 2), seconds=0.01)
    assert (one.runs, two.runs) == (1, 2)
    assert min(one.iterations_per_second, two.iterations_per_second) > 0
    # Each was warmed up and made a slice at least; the mean over its last updates is of as many.
    written = [int(task.state_dict()["players"]["generator"]["losses"]["written"]) for task in tasks]
    assert written[0] > written[1] >= WARM_UP + TOGETHER + SLICE


def test_a_pack_lacks_memory_and_fewer_are_taken(job: Job) -> None:
    left = [3]

    def build() -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return job.build()

    assert [pack.runs for pack in throughputs(build, CPU, sizes=(1, 2, 4), seconds=0.01)] == [1, 2]
