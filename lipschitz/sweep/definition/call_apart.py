"""Call a function in a forked process, so that code that exits or crashes ends that process alone."""

import os
import signal
import warnings
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from typing import TypeVar

T = TypeVar("T")


class Unanswered(Exception):
    """The process ended without an answer."""


def call_apart(call: Callable[[], T]) -> T:
    """Return what ``call`` returns in a forked process.

    Raises:
        Unanswered: the process ended, or the call raised an error.
    """
    ours, theirs = Pipe()
    with warnings.catch_warnings():
        # From Python 3.12 a fork of a process with threads is warned of; the call needs none of them.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            theirs.send(call())
        os._exit(0)
    theirs.close()
    try:
        answer: T = ours.recv()
    except EOFError:
        raise Unanswered("it ends the process") from None
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        ours.close()
    return answer
