"""The base class of engines: an engine dispatches the jobs of a sweep to workers, and reports their progress."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from lipschitz.config import Config
from lipschitz.extensions.point import ExtensionPoint
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.site import Site

Measurement = Callable[[Job, Callable[[dict[str, Any]], None]], None]
"""Measure a job. Pass each result to the second argument; the last one counts."""
TogetherMeasurement = Callable[[Job, Callable[[dict[str, Any]], None], Callable[[], None]], None]
"""A `Measurement` in several processes at once; the third argument waits until all of them have called it as often."""
TIMED_OUT = "timed_out"
"""Key of what `Engine.call` returns of a measurement that was ended."""


class DiskFull(Exception):
    """The disk of the results is full: a line that names the file. No run is at fault, and every one can be resumed."""


class Progress(Protocol):
    """Who is told how the jobs go."""

    def started(self, job: Job) -> None:
        """``job`` was given to a worker."""

    def stepped(self, job: Job, step: int) -> None:
        """The run of ``job`` has reached ``step``."""

    def warned(self, line: str) -> None:
        """A warning; no result is lost."""

    def returned(self, job: Job) -> None:
        """``job`` was taken back from its worker; it waits to be started again from its checkpoint."""

    def ended(self, job: Job) -> None:
        """``job`` is over; the status of the run's folder says how it went."""


class Engine(Config):
    """Runs jobs on a site. A subclass is one file: a module of this package, or ``path/to/file.py:ClassName``.

    `lipschitz.sweep.engine.in_process.train` trains one job in the calling process, which is all that a worker has to
    do. Every field of an engine needs a default.
    """

    @abstractmethod
    def run(self, jobs: Sequence[Job], site: Site, progress: Progress) -> None:
        """Dispatch ``jobs``, in order, to workers on the devices of ``site``, until all of them are over.

        ``job.device`` is that of the worker that it is given to (`dataclasses.replace`).

        Raises:
            KeyboardInterrupt: re-raised after all workers have written checkpoints.
            DiskFull: a run could not be written; the workers have stopped.
        """

    @abstractmethod
    def call(self, measurement: Measurement, job: Job) -> dict[str, Any]:
        """Call ``measurement`` on ``job`` in a new process on ``job.device``, which no other process uses meanwhile.

        Returns:
            The last of what was found, or an empty dictionary if the process died before it found anything; with
            `TIMED_OUT` true if it was ended because it gave no answer for as long as the site's time-out.
        """

    def call_together(self, measurement: TogetherMeasurement, job: Job, processes: int) -> list[dict[str, Any]]:
        """Call ``measurement`` on ``job`` in several new processes at once, which have ``job.device`` to themselves.

        An engine need not be able to. The number of workers that share a GPU is then not measured, and one by default.

        Returns:
            The last of what each process found. Once one of them is over, those that wait for it are ended. Empty where
            the engine is not able to, or none has answered for as long as the site's time-out.
        """
        return []


ENGINES = ExtensionPoint("engine", "engines", "lipschitz.sweep.engine", Engine)
