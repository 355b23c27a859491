"""The local engine: worker processes on this machine."""

from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from lipschitz.sweep.engine.base import TIMED_OUT, Engine, Measurement, Progress, TogetherMeasurement
from lipschitz.sweep.engine.dispatcher import LONGEST_WAIT, Dispatcher
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.engine.site import Site
from lipschitz.sweep.engine.together import call_together
from lipschitz.sweep.engine.worker_process import GRACE
from lipschitz.sweep.process import ending_process, prepare_process, start_process


class Local(Engine):
    """Worker processes on this machine, one for each device of the site; the jobs of a lost worker are requeued."""

    def run(self, jobs: Sequence[Job], site: Site, progress: Progress) -> None:
        """Dispatch ``jobs`` to worker processes; see `Engine.run`."""
        Dispatcher(jobs, site.devices, progress).run()

    def call(self, measurement: Measurement, job: Job) -> dict[str, Any]:
        """Call ``measurement`` in a process; see `Engine.call`."""
        process, channel = start_process(_answer, measurement, job, name=job.run.id)
        found: dict[str, Any] = {}
        try:
            # A process that ends, or dies, closes its end.
            with suppress(EOFError, OSError):
                while _has_answered(channel, job.site.timeout):
                    found = channel.recv()
                found = {**found, TIMED_OUT: True}
                process.kill()
        except BaseException:
            process.kill()
            raise
        finally:
            process.join(GRACE)
            process.kill()
            channel.close()
        return found

    def call_together(self, measurement: TogetherMeasurement, job: Job, processes: int) -> list[dict[str, Any]]:
        """Call ``measurement`` in processes; see `Engine.call_together`."""
        return call_together(measurement, job, processes)


def _has_answered(channel: Connection, seconds: float) -> bool:
    """Wait for an answer; seconds in which this process itself was stopped count as no more than `LONGEST_WAIT`."""
    while seconds > 0:
        if channel.poll(min(seconds, LONGEST_WAIT)):
            return True
        seconds -= LONGEST_WAIT
    return False


def _answer(measurement: Measurement, job: Job, channel: Connection) -> None:
    prepare_process()
    with ending_process():
        measurement(job, channel.send)
