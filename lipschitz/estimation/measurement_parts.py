"""Parts of a measurement: each is announced when it starts, and given up when its share of a time limit is over."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

Result = TypeVar("Result")
REPEAT_SECONDS = 0.5
"""Time after which a part that is over is interrupted again: Python drops an exception within a finalizer."""


class _TimeLimit(BaseException):
    """Raised in the middle of a part. No `Exception`, so that a part does not take it for an error of the network."""


class MeasurementParts:
    """Runs the parts of a measurement one after the other."""

    def __init__(self, progress: Callable[[str], object], seconds: float | None) -> None:
        """Start the clock.

        Args:
            progress: is called with the name of each part when it starts.
            seconds: limit of the time of all parts together. Only the main thread can be interrupted; in another one a
                part that has started ends.
        """
        self._progress, self._seconds = progress, seconds
        self._start = time.monotonic()
        self.notes: list[str] = []
        """What was not measured or not finished."""

    def run(self, name: str, until: float, part: Callable[[], Result], *, lost: str = "not measured") -> Result | None:
        """Return ``part()``, or None if it is not finished at the share ``until`` of the time limit.

        ``lost``: what a note then says of it.
        """
        self._progress(name)
        if self._seconds is None:
            return part()
        try:
            with _interrupted_after(self._start + until * self._seconds - time.monotonic()):
                return part()
        except _TimeLimit:
            self.notes.append(f"{name}: {lost} (time limit of {self._seconds:g} s)")
            return None


@contextmanager
def _interrupted_after(seconds: float) -> Iterator[None]:
    def interrupt(_: int, __: FrameType | None) -> None:
        raise _TimeLimit

    if not seconds > 0:  # Also of a NaN.
        raise _TimeLimit
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds, REPEAT_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
