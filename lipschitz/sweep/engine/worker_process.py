"""A worker process as the dispatcher sees it: its jobs, how long it has been silent, and how it ended."""

import signal
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from lipschitz.sweep.engine.job import Job

GRACE = 60.0
"""Seconds that a worker has to stop once told to, and one more for each run's checkpoint."""
KILL_GRACE = 5.0
"""Seconds that a worker without progress has to stop."""
LOST = 255
"""Exit status of a process whose fork server died; it may still be alive."""


@dataclass
class WorkerProcess:
    """A worker: its process, its device, and the jobs that it has."""

    process: BaseProcess
    channel: Connection
    device: str
    jobs: dict[str, Job] = field(default_factory=dict)
    """By the id of the run."""
    begun: set[str] = field(default_factory=set)
    """Ids of the runs that it has begun. Only these can have caused its death."""
    is_retired: bool = False
    """Whether it is given no more jobs."""
    turn: str = ""
    """Id of the run that it trains at the moment, where it has several."""
    steps: dict[str, int] = field(default_factory=dict)
    """The step that each run has reached, where it was told."""
    silent: float = 0.0
    """Seconds since its last message, without those in which this process did not run."""

    @property
    def load(self) -> float:
        """Sum of the shares of its jobs, 1 / ``pack`` each."""
        return sum(1 / job.pack for job in self.jobs.values())

    @property
    def patience(self) -> float:
        """Seconds of silence that it has left."""
        limits = [job.site.timeout for job in self.jobs.values()]
        return max(limits, default=GRACE) - self.silent

    def has_room(self, job: Job, limit: float) -> bool:
        """Say whether it can take ``job`` besides those that it has, ``limit`` of them at most."""
        can_share = not self.is_retired and job.pack > 1 and all(own.pack > 1 for own in self.jobs.values())
        return can_share and self.load + 1 / job.pack < 1 + 1e-9 and len(self.jobs) < limit

    def send(self, job: Job | None) -> None:
        """Send a job, or None: there are no more. A worker that has died meanwhile is noticed by its sentinel."""
        with suppress(OSError):
            self.channel.send(job)

    def end(self) -> None:
        """End it: by SIGTERM, and if that does not help by SIGKILL, which also ends a process that is stopped."""
        self.process.terminate()
        self.process.join(KILL_GRACE)
        self.process.kill()
        self.process.join()

    def place(self, job: Job) -> str:
        """Return how far a run of it has come, such as "after step 50"."""
        beat = job.folder.heartbeat.read()
        step = self.steps.get(job.run.id, beat.step if beat else None)
        return "before its first step" if step is None else f"after step {step}"


def how_it_ended(code: int | None) -> str:
    """Return the signal or the exit status that ended a process, as words."""
    if code is not None and code < 0:
        try:
            return f"signal {-code}, {signal.Signals(-code).name}"
        except ValueError:
            return f"signal {-code}"
    return "its fork server was lost" if code == LOST else f"exit status {code}"
