"""Sweep files for tests, small enough to run in seconds; progress, outcomes and faults of their runs."""

import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path
from textwrap import dedent
from typing import Any

from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.site import Site

SMALL = """\
    name: small
    task: generation
    datasets: [eight_gaussians]
    models: [{mlp: {width: 8, depth: 1}}]
    constraints: [none, spectral_normalization]
    seeds: [0, 1]
    training: {steps: 120, batch_size: 8}
    evaluation: {every: 40, samples: 32, gradient_samples: 8}
"""
ONE_CPU = Site(("cpu",))
TWO_CPUS = Site(("cpu", "cpu"))


def write(folder: Path, text: str = SMALL, name: str = "small.yaml") -> Path:
    path = folder / name
    path.write_text(dedent(text))
    return path


class ProgressLog:
    """A `Progress` that keeps a line for everything it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @property
    def warnings(self) -> list[str]:
        return [line.removeprefix("warned ") for line in self.lines if line.startswith("warned ")]

    def started(self, job: Job) -> None:
        self.lines.append(f"started {job.run.seed} on {job.device}")

    def stepped(self, job: Job, step: int) -> None:
        self.lines.append(f"step {step} of {job.run.seed}")

    def warned(self, line: str) -> None:
        self.lines.append(f"warned {line}")

    def returned(self, job: Job) -> None:
        self.lines.append(f"returned {job.run.seed}")

    def ended(self, job: Job) -> None:
        self.lines.append(f"ended {job.run.seed}")


class Interrupted(ProgressLog):
    """Interrupts the sweep as soon as a run comes back from a worker that has stopped."""

    def returned(self, job: Job) -> None:
        raise KeyboardInterrupt


def outcome(job: Job) -> tuple[dict[str, Any], list[tuple[int, str, float]]]:
    """What was measured, without what a clock says."""
    result = job.folder.result()
    assert result is not None
    records = [(record["step"], record["metric"], record["value"]) for record in job.folder.records()]
    return {key: value for key, value in result.items() if key != "seconds"}, records


class Stopped:
    """A worker's channel, which sends the worker a signal once it has said that it reached a step (of a seed)."""

    def __init__(
        self, channel: Connection, step: int = 20, number: signal.Signals = signal.SIGTERM, seed: int | None = None
    ) -> None:
        self.step, self.number = step, number
        self._run = "" if seed is None else f"-s{seed}-"
        self.poll, self.recv, self._send = channel.poll, channel.recv, channel.send

    def send(self, message: tuple[Any, ...]) -> None:
        self._send(message)
        if message[0] == "step" and message[-1] == self.step and self._run in message[1]:
            os.kill(os.getpid(), self.number)
