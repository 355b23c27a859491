"""For tests of interrupted runs: a channel that stops a worker at a step, and the outcome of a run."""

import os
import signal
from multiprocessing.connection import Connection
from typing import Any

from lipschitz.sweep.engine.job import Job


def outcome(job: Job) -> tuple[dict[str, Any], list[tuple[int, str, float]]]:
    """Return the result and the records of a run without times."""
    result = job.folder.result()
    assert result is not None
    records = [(record["step"], record["metric"], record["value"]) for record in job.folder.records()]
    return {key: value for key, value in result.items() if key != "seconds"}, records


class Stopped:
    """A worker's channel that sends SIGTERM to the worker when the worker reports a step."""

    def __init__(self, channel: Connection, step: int = 20) -> None:
        self.step = step
        self.poll, self.recv, self._send = channel.poll, channel.recv, channel.send

    def send(self, message: tuple[Any, ...]) -> None:
        self._send(message)
        if message[0] == "step" and message[-1] == self.step:
            os.kill(os.getpid(), signal.SIGTERM)
