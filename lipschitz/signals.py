"""Stop a command on Ctrl-C, SIGTERM, SIGHUP or SIGUSR1: at once in one line, or by an exception, to save its work."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
"""What asks a command to stop. Schedulers send SIGUSR1 some time before they end a job."""
REPEAT_SECONDS = 1.0
"""For how long a further signal counts as the same one: ``timeout`` and some launchers send a stop twice."""


_received: list[int] = []
"""The signal that raised `Stopped` in the present block of `stopping_cleanly`."""


class Stopped(KeyboardInterrupt):
    """The command was asked to stop by a signal. As text it is the signal's name."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number
        """Exit code of a command that was stopped so."""


@contextmanager
def stopping_at_once() -> Iterator[None]:
    """In the block a signal ends the process at once, with one line on stderr and exit code 128 + its number.

    For imports, and commands that write nothing: an exception in the middle of an import may be lost.
    """

    def end(number: int, _: FrameType | None) -> None:
        _say(f"stopped by {signal.Signals(number).name}\n")
        _exit(number)

    with _handling(end):
        yield


@contextmanager
def stopping_cleanly() -> Iterator[None]:
    """In the block, and until an enclosing one ends, the first signal raises `Stopped`; a second ends the process.

    The second counts `REPEAT_SECONDS` after the first.
    """
    first: list[float] = []
    _received.clear()

    def stop(number: int, _: FrameType | None) -> None:
        if not first:
            first.append(time.monotonic())
            _received.append(number)
            raise Stopped(number)
        if time.monotonic() - first[0] > REPEAT_SECONDS:
            _exit(number)

    try:
        with _handling(stop, restores=lambda: not first):
            yield
    finally:
        _received.clear()


def raise_if_stopped() -> None:
    """Raise `Stopped` again if a signal came whose exception was lost.

    Python ignores exceptions that are raised where it calls back, such as in ``__del__`` or after a fork. A loop that
    runs for long calls this now and then.
    """
    if _received:
        raise Stopped(_received[0])


@contextmanager
def _handling(
    handler: Callable[[int, FrameType | None], object], restores: Callable[[], bool] = lambda: True
) -> Iterator[None]:
    """Handle `SIGNALS` by ``handler`` in the block, except those that are ignored, as ``nohup`` has it."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        found = {number: signal.getsignal(number) for number in SIGNALS}
        before = {number: was for number, was in found.items() if was not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        if restores():
            for number, was in before.items():
                signal.signal(number, was)


def _exit(number: int) -> None:
    # A display of progress hides the cursor.
    if sys.stdout.isatty():
        _say("\x1b[?25h")
    os._exit(128 + number)


def _say(text: str) -> None:
    # The handler may have interrupted a write to the same stream, which then refuses.
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    with suppress(OSError):
        os.write(2, text.encode())
