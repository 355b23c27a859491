"""Engines as a user would add them: ``--engine in_process_engine.py:InProcess``."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lipschitz.sweep.engine.base import Engine, Measurement, Progress
from lipschitz.sweep.engine.in_process import train
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.site import Site


class InProcess(Engine):
    """Train one job after the other in the calling process."""

    def run(self, jobs: Sequence[Job], site: Site, progress: Progress) -> None:
        for job in jobs:
            placed = replace(job, device=site.devices[0])
            progress.started(placed)
            train(placed, progress)
            progress.ended(placed)

    def call(self, measurement: Measurement, job: Job) -> dict[str, Any]:
        found: dict[str, Any] = {}
        measurement(job, found.update)
        return found


class Untimed(InProcess):
    """The same without a timing pass: every measurement fails."""

    def call(self, measurement: Measurement, job: Job) -> dict[str, Any]:
        return {}
