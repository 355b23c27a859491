"""How far runs have come, in words: steps, time to go, last quality, host."""

import math

from lipschitz.sweep.heartbeat import Beat


def progress_text(beat: Beat, *, is_running: bool) -> str:
    """Return how far a run has come: ``step 50 of 120, about 3 min to go, w1 0.31, on a-host``."""
    parts = [f"step {beat.step:,} of {beat.steps:,}"]
    if is_running and beat.seconds_left is not None and beat.step < beat.steps:
        parts.append(f"about {duration(beat.seconds_left)} to go")
    if beat.quality is not None:
        parts.append(quality_text(beat.quality))
    if is_running and beat.host:
        parts.append(f"on {beat.host}")
    return ", ".join(parts)


def quality_text(quality: tuple[str, float]) -> str:
    """Return the name and value of a metric, ``w1 0.312``."""
    return f"{quality[0]} {quality[1]:.3g}"


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it: ``40 s``, ``12 min``, ``3.5 h``."""
    if not math.isfinite(seconds):
        return "unknown time"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
