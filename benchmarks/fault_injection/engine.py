"""An engine that trains in the calling process; with ``FAULTS_STOP=1:50`` Ctrl-C is pressed in run 1 at step 50."""

import os
import signal
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
        """Train all jobs."""
        stop = os.environ.get("FAULTS_STOP", "")
        for index, job in enumerate(jobs):
            placed = replace(job, device=site.devices[0])
            progress.started(placed)
            at_run, _, step = stop.partition(":")
            watched = Stopping(progress, int(step)) if stop and int(at_run) == index else progress
            train(placed, watched)
            progress.ended(placed)

    def call(self, measurement: Measurement, job: Job) -> dict[str, Any]:
        """Return what ``measurement`` finds, measured in this process."""
        found: dict[str, Any] = {}
        measurement(job, found.update)
        return found


class Stopping:
    """A `Progress` that presses Ctrl-C once a run has come to a step."""

    def __init__(self, progress: Progress, step: int) -> None:
        self._progress, self._step = progress, step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._progress, name)

    def stepped(self, job: Job, step: int) -> None:
        """Pass it on, and stop."""
        self._progress.stepped(job, step)
        if step >= self._step:
            signal.raise_signal(signal.SIGINT)
