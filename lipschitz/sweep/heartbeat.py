"""The heartbeat of a run: a small file that says which step it has reached. No part of the results."""

import json
import time
from contextlib import suppress
from pathlib import Path
from socket import gethostname
from typing import NamedTuple


class Beat(NamedTuple):
    """How far a run has come."""

    step: int
    steps: int
    """Of the whole run."""
    time: float
    """When it was there, in seconds since 1970."""
    host: str = ""
    """Name of the machine that trains it; empty where an earlier version wrote the beat."""
    began: tuple[int, float] | None = None
    """Step and time at which this process began to train it."""
    quality: tuple[str, float] | None = None
    """Name and last value of the metric that chooses its best step."""

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at the speed so far, evaluations included; None before there is one."""
        if self.began is None or self.step <= self.began[0]:
            return None
        return (self.steps - self.step) * (self.time - self.began[1]) / (self.step - self.began[0])


class Heartbeat:
    """Writes and reads the heartbeat of a run that is not over. It is not forced to disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, folder: Path) -> "Heartbeat":
        """Return the heartbeat of the run or of the attempt whose files are in ``folder``."""
        return cls(folder / "heartbeat.json")

    def write(
        self,
        step: int,
        steps: int,
        began: tuple[int, float] | None = None,
        quality: tuple[str, float] | None = None,
    ) -> None:
        """Write that the run has reached ``step`` of ``steps``. A disk that refuses it costs the run nothing."""
        beat = Beat(step, steps, time.time(), gethostname(), began, quality)
        with suppress(OSError):
            self.path.write_text(json.dumps(beat._asdict()), "utf-8")

    def read(self) -> Beat | None:
        """Return the last beat, or None where there is none that can be read."""
        try:
            found = json.loads(self.path.read_text("utf-8"))
            began, quality = found.get("began"), found.get("quality")
            return Beat(
                int(found["step"]),
                int(found["steps"]),
                float(found["time"]),
                str(found.get("host", "")),
                began and (int(began[0]), float(began[1])),
                quality and (str(quality[0]), float(quality[1])),
            )
        except (OSError, ValueError, KeyError, TypeError, OverflowError, IndexError, AttributeError):
            return None

    def remove(self) -> None:
        """Remove it, as the run is over."""
        with suppress(OSError):
            self.path.unlink()
