"""Print on stderr what a command is doing, once it takes more than a few seconds."""

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

SILENT_SECONDS = 3.0
"""A command that ends before this prints no progress."""
AGAIN_SECONDS = 4.0
"""Time between two looks whether a step has been silent for as long; it is then printed again, with its time."""
STARTING_SECONDS = 0.3
"""A command that has not ended by then says that it starts: importing torch may take seconds."""


class ProgressLines:
    """Prints a line for the step that a command is at, and for each step after it."""

    def __init__(self, command: str, every: float = 0.0) -> None:
        self._command, self._step, self._silent = command, "", True
        self._every, self._printed_at, self._began = every, -every, time.monotonic()
        # A step may redirect stderr, to silence torch.
        self._stream = sys.stderr

    def __call__(self, step: str) -> None:
        """Say that the next step starts."""
        self._step, self._began = step, time.monotonic()
        if not self._silent and time.monotonic() - self._printed_at >= self._every:
            self._print()

    def speak(self) -> None:
        """Print the present step, and from now on every step as it starts."""
        self._silent = False
        if self._step:
            self._print()

    def _print(self, suffix: str = "") -> None:
        self._printed_at = time.monotonic()
        print(f"{self._command}: {self._step} ...{suffix}", file=self._stream, flush=True)

    def repeat(self, over: threading.Event) -> None:
        """Print a line once `SILENT_SECONDS` have passed, and whenever a step is silent for `AGAIN_SECONDS`."""
        if over.wait(SILENT_SECONDS):
            return
        self.speak()
        while not over.wait(AGAIN_SECONDS):
            if self._step and time.monotonic() - self._printed_at >= AGAIN_SECONDS:
                self._print(f" {time.monotonic() - self._began:.0f} s")


@contextmanager
def progress_lines(command: str, every: float = 0.0, *, quiet: bool = False) -> Iterator[ProgressLines]:
    """Yield the lines of a command. They are printed from `SILENT_SECONDS` on, until the block ends, unless ``quiet``.

    Two lines are at least ``every`` seconds apart; a step that begins sooner is not printed. A step that takes long is
    printed again, with the seconds that it has taken.
    """
    lines, over = ProgressLines(command, every), threading.Event()
    if quiet:
        yield lines
        return
    thread = threading.Thread(target=lines.repeat, args=(over,), daemon=True)
    thread.start()
    try:
        yield lines
    finally:
        over.set()
        thread.join()


@contextmanager
def starting_line(command: str, heavy: Iterable[str] = ("torch", "pandas")) -> Iterator[None]:
    """Say on stderr that a command starts, if it takes longer and has to import one of the packages ``heavy``."""
    if any(name in sys.modules for name in heavy):
        yield
        return
    stream = sys.stderr
    timer = threading.Timer(STARTING_SECONDS, lambda: print(f"{command}: starting ...", file=stream, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
