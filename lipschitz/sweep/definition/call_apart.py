"""Call a function in a process of its own, so that code that exits, crashes or hangs ends that process alone."""

from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from lipschitz.sweep.process import ending_process, prepare_process, start_process

START_SECONDS = 600.0
"""Longest time in seconds until the process has started."""


class Unanswered(Exception):
    """The process gave no answer."""


class NotStarted(Exception):
    """The process could not start, as where a script that is no module runs this while it is imported."""


def call_apart(call: Callable[..., Any], *arguments: Any, seconds: float) -> Any:
    """Return what ``call(*arguments)`` returns in another process; function, arguments and result are pickled.

    The process is no fork of this one: a fork of a process that has used threads of torch cannot compute gradients.

    Raises:
        Unanswered: the process ended, the call raised an error, or took longer than ``seconds``.
        NotStarted: there is no process.
    """
    process, channel = start_process(_answer, call, arguments, name="plan")
    try:
        _wait_for_start(channel)
        if not channel.poll(seconds):
            raise Unanswered(f"no answer after {seconds:g} s")
        return channel.recv()
    except EOFError:
        raise Unanswered("it ends the process") from None
    finally:
        process.kill()
        process.join()
        channel.close()


def _wait_for_start(channel: Connection) -> None:
    try:
        if channel.poll(START_SECONDS):
            channel.recv()
            return
    except EOFError:
        pass
    raise NotStarted


def _answer(call: Callable[..., Any], arguments: tuple[Any, ...], channel: Connection) -> None:
    prepare_process()
    with ending_process(), suppress(BaseException):
        channel.send("started")
        channel.send(call(*arguments))
