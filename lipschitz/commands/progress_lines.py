"""Print on stderr what a command is doing, once it takes more than a few seconds."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SILENT_SECONDS = 3.0
"""A command that ends before this prints no progress."""


class ProgressLines:
    """Prints a line for the step that a command is at, and for each step after it."""

    def __init__(self, command: str) -> None:
        self._command, self._step, self._silent = command, "", True
        # A step may redirect stderr, to silence torch.
        self._stream = sys.stderr

    def __call__(self, step: str) -> None:
        """Say that the next step starts."""
        self._step = step
        if not self._silent:
            self._print()

    def speak(self) -> None:
        """Print the present step, and from now on every step as it starts."""
        self._silent = False
        if self._step:
            self._print()

    def _print(self) -> None:
        print(f"{self._command}: {self._step} ...", file=self._stream, flush=True)


@contextmanager
def progress_lines(command: str) -> Iterator[ProgressLines]:
    """Yield the lines of a command. They are printed from `SILENT_SECONDS` on, until the block ends."""
    lines = ProgressLines(command)
    timer = threading.Timer(SILENT_SECONDS, lines.speak)
    timer.daemon = True
    timer.start()
    try:
        yield lines
    finally:
        timer.cancel()
