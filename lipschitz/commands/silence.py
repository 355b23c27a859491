"""For how long a run has made no step: by one clock, since those of two machines may differ by minutes."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from socket import gethostname

from lipschitz.sweep.heartbeat import Beat, Heartbeat
from lipschitz.sweep.progress_text import duration

SILENT_SECONDS = 60.0
"""Seconds without a step above which it is said of a running run."""


def seconds_without_step(heartbeat: Heartbeat, beat: Beat, member: Path | None) -> float:
    """Return how long ago a run made its last step, as far as one look can tell; 0 where it cannot.

    Of a run on this machine the clock of this machine tells. A process elsewhere changes its file in
    ``joined/members/`` every second as long as it lives, and the heartbeat as long as the run makes steps. The file
    system or that machine gives both files their times, and the difference counts.

    Args:
        heartbeat: where the beat was read.
        beat: the last one of the run.
        member: the file of the process that makes the run; None where it is not known.
    """
    if beat.host == gethostname():
        return time.time() - beat.time
    if member is not None:
        with suppress(OSError):
            return member.stat().st_mtime - heartbeat.path.stat().st_mtime
    return 0.0


class Watched:
    """For how long the heartbeats of runs have been seen unchanged, by the clock of the one who looks."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[Path, tuple[Beat, float]] = {}

    def seconds(self, heartbeat: Heartbeat, beat: Beat) -> float:
        """Return for how long the heartbeat has been ``beat``, since it was first seen so."""
        now = self._clock()
        before = self._seen.get(heartbeat.path)
        if before is None or before[0] != beat:
            self._seen[heartbeat.path] = (beat, now)
            return 0.0
        return now - before[1]


@dataclass(frozen=True)
class Silence:
    """How a running run that makes no step is described."""

    hangs: float
    """Seconds after which it is said to hang."""
    watched: Watched | None
    """What was seen of the heartbeats before, if anything was."""
    member: Path | None
    """The file of the process that makes the run, if it is known."""

    def in_words(self, heartbeat: Heartbeat, beat: Beat) -> str:
        """Return for how long the run has made no step, such as ``, no step for 20 min``; nothing for a short while."""
        seconds = seconds_without_step(heartbeat, beat, self.member)
        if self.watched is not None:
            seconds = max(seconds, self.watched.seconds(heartbeat, beat))
        if seconds <= SILENT_SECONDS:
            return ""
        hanging = f"; it hangs: more than {duration(self.hangs)} without a step" if seconds > self.hangs else ""
        return f", no step for {seconds / 60:.0f} min{hanging}"
