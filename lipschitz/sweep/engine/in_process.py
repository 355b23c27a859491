"""Train one job in the calling process, for engines whose workers run elsewhere, such as jobs of a cluster."""

import signal
from dataclasses import replace
from typing import Any

from lipschitz.signals import SIGNALS, Stopped
from lipschitz.sweep.engine.base import DiskFull, Progress
from lipschitz.sweep.engine.job import Job, uncaptured_warning
from lipschitz.sweep.engine.worker import Worker
from lipschitz.sweep.process import set_up_torch


def train(job: Job, progress: Progress) -> Job | None:
    """Train ``job.run`` to its end in this process. Call it from the main thread.

    On Ctrl-C, SIGTERM or SIGHUP the run stops after the current step or replay, with a checkpoint.

    Returns:
        None once the run is over; or a job to train instead, in a new process, where the iterations could not be
        captured as a CUDA graph.

    Raises:
        Stopped: a KeyboardInterrupt, raised after the run has written its checkpoint.
        DiskFull: the run could not be written.
    """
    set_up_torch()
    channel = _ProgressChannel(job, progress)
    worker = Worker(channel)
    received: list[int] = []

    def stop(number: int, _: object) -> None:
        received.append(number)
        worker.stop()

    handlers = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        worker.run(job)
    except SystemExit:
        if channel.returned is None:
            raise
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if received:
        raise Stopped(received[0])
    if channel.full:
        raise DiskFull(channel.full)
    return channel.returned


class _ProgressChannel:
    """Tells a `Progress` of one job; there are no further jobs."""

    def __init__(self, job: Job, progress: Progress) -> None:
        self._job, self._progress = job, progress
        self.returned: Job | None = None
        self.full = ""

    def poll(self, timeout: float, /) -> bool:
        # A worker waits, with a timeout, only once it has no run left.
        return timeout > 0

    def recv(self) -> Any:
        raise EOFError

    def send(self, message: Any, /) -> None:
        match message:
            case ("step", _, step):
                self._progress.stepped(self._job, step)
            case ("warning", line):
                self._progress.warned(line)
            case ("returned", _, _, reason):
                self.returned = replace(self._job, captures=False)
                self._progress.warned(uncaptured_warning(self._job, reason))
            case ("full", line):
                self.full = line
