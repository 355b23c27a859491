"""Call a measurement in several processes at once, which wait for each other between its parts."""

from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from lipschitz.sweep.engine.base import TogetherMeasurement
from lipschitz.sweep.engine.job import Job
from lipschitz.sweep.process import ending_process, prepare_process, start_process

MEET = "meet"
"""What a process sends to wait for the others, and receives once all of them have sent it."""


def call_together(measurement: TogetherMeasurement, job: Job, processes: int) -> list[dict[str, Any]]:
    """Call ``measurement`` on ``job`` in several new processes; see `lipschitz.sweep.engine.base.Engine`."""
    started: list[tuple[BaseProcess, Connection]] = []
    try:
        for _ in range(processes):
            started.append(start_process(_answer, measurement, job, name=job.run.id))
        return _last_answers([channel for _, channel in started], job.site.timeout)
    finally:
        for process, channel in started:
            process.kill()
            process.join()
            channel.close()


def _last_answers(channels: Sequence[Connection], seconds: float) -> list[dict[str, Any]]:
    """Return the last answer of each process, once all are over, or one is that others wait for."""
    found: dict[Connection, dict[str, Any]] = {channel: {} for channel in channels}
    at_work, waiting = set(channels), set[Connection]()
    while at_work:
        ready = [channel for channel in wait(list(at_work), seconds) if channel in at_work]
        if not ready:
            return []
        for channel in ready:
            assert isinstance(channel, Connection)
            try:
                message = channel.recv()
            except (EOFError, OSError):
                at_work.remove(channel)
                continue
            if message == MEET:
                at_work.remove(channel)
                waiting.add(channel)
            else:
                found[channel] = message
        if len(waiting) == len(channels):
            for channel in waiting:
                with suppress(OSError):
                    channel.send(MEET)
            at_work, waiting = waiting, set()
    return list(found.values())


def _answer(measurement: TogetherMeasurement, job: Job, channel: Connection) -> None:
    def meet() -> None:
        channel.send(MEET)
        channel.recv()

    prepare_process()
    with ending_process():
        measurement(job, channel.send, meet)
