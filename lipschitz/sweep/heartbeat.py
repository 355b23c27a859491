"""The heartbeat of a run: a small file that says which step it has reached. No part of the results."""

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Beat(NamedTuple):
    """How far a run has come."""

    step: int
    steps: int
    """Of the whole run."""
    time: float
    """When it was there, in seconds since 1970."""


class Heartbeat:
    """Writes and reads the heartbeat of a run that is not over. It is not forced to disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, step: int, steps: int) -> None:
        """Write that the run has reached ``step`` of ``steps``. A disk that refuses it costs the run nothing."""
        with suppress(OSError):
            self._path.write_text(json.dumps(Beat(step, steps, time.time())._asdict()), "utf-8")

    def read(self) -> Beat | None:
        """Return the last beat, or None where there is none that can be read."""
        try:
            found = json.loads(self._path.read_text("utf-8"))
            return Beat(int(found["step"]), int(found["steps"]), float(found["time"]))
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            return None

    def remove(self) -> None:
        """Remove it, as the run is over."""
        with suppress(OSError):
            self._path.unlink()
