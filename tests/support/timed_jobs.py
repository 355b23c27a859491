"""Jobs of sweeps that are timed, and an engine that says how long they took."""

from pathlib import Path
from typing import Any

import pytest
from sweeps import ONE_CPU, SMALL, write

from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.engine.base import Measurement
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.timing.one_round import Round

CROSSED = """\
    name: crossed
    task: transport
    seeds: [0, 1]
    evaluation: {every: 40, samples: 32, gradient_samples: 8}
    parts:
      - datasets: [funnels]
        models: [{critic: {width: 8}}]
        constraints: [none, spectral_normalization]
        training: {steps: 10, batch_size: 8}
      - datasets: [funnels]
        models: [{critic: {width: 8, activation: full_sort}}]
        constraints: [orthogonal]
        training: {seconds: 2, batch_size: 8}
      - datasets: [funnels, {funnels: {dim: 3}}]
        models: [{critic: {width: 8}}]
        constraints: [none]
        training: {steps: 10, batch_size: 16}
"""


def sweep_jobs(folder: Path, text: str = SMALL, device: str = "cpu: a") -> list[Job]:
    (folder / "out").mkdir(exist_ok=True)
    return [Job(run, folder / "out", ONE_CPU, "cpu", {}, device) for run in load_sweep(write(folder, text)).runs]


def one_round(*calls: float, memory: float = 1.0) -> Round:
    return {"calls": {"ms_discriminator_step": list(calls)}, "peak_memory": memory}


class InstantEngine:
    """An engine without processes: it keeps the order of what is timed, and says how long that took in each round."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *milliseconds: float) -> None:
        self.order: list[list[str]] = []
        self._milliseconds = milliseconds
        self._count: dict[str, int] = {}
        monkeypatch.setattr("lipschitz.sweep.timing.one_round.measure_round", self._rounds)

    def call(self, measurement: Measurement, job: Job) -> dict[str, Any]:
        found: dict[str, Any] = {}
        measurement(job, found.update)
        return found

    def _rounds(self, jobs: list[Job], *, repeats: int, **_: Any) -> dict[str, Round]:
        names = [job.run.configuration for job in jobs]
        self.order.append(names)
        seen = {}
        for name in names:
            index = self._count[name] = self._count.get(name, -1) + 1
            if index < len(self._milliseconds):
                seen[name] = one_round(*[self._milliseconds[index]] * repeats)
        return seen
