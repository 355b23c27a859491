"""Call a function in a forked process, so that code that exits or crashes ends that process alone."""

import os
import signal
import warnings
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from typing import TypeVar

import torch

T = TypeVar("T")


class Unanswered(Exception):
    """The process ended without an answer."""


def call_apart(call: Callable[[], T], seconds: float) -> T:
    """Return what ``call`` returns in a forked process, in which torch has one thread.

    Raises:
        Unanswered: the process ended, the call raised an error, or there is no answer after ``seconds``.
    """
    ours, theirs = Pipe()
    with warnings.catch_warnings():
        # From Python 3.12 a fork of a process with threads is warned of; the call needs none of them.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            # The threads of a pool are not forked, and work that waits for them would wait for ever.
            torch.set_num_threads(1)
            theirs.send(call())
        os._exit(0)
    theirs.close()
    try:
        if not ours.poll(seconds):
            raise Unanswered(f"no answer after {seconds:g} s")
        answer: T = ours.recv()
    except EOFError:
        raise Unanswered("it ends the process") from None
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        ours.close()
    return answer
