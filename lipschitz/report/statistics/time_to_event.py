"""How long several seeds took to come somewhere, where some of them came too late to be seen, or never will."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lipschitz.report.statistics.intervals import half_width


class Spell(NamedTuple):
    """How long the seeds of one configuration took, in whatever unit: mean and ci95 only where all of them came."""

    reached: int
    of: int
    mean: float
    ci95: float
    median: float
    """Of the middle seed: infinite where it had not come by the end of its training, NaN where it diverged."""


def spell(times: Sequence[float]) -> Spell:
    """Return what is said of the times of several seeds, by which more than half of them had come.

    The times of seeds that came late are unknown, so that no mean exists unless all came; the median does where more
    than half did. It is the ``n // 2 + 1``-th of n times: no time is made up between two of them.

    Args:
        times: in any unit; infinite where a seed did not come in all of its training, NaN where it diverged: that comes
            after whatever another seed would have needed.
    """
    # NaN is sorted to the end.
    values = np.sort(np.asarray(times, dtype=float))
    reached, of = int(np.isfinite(values).sum()), len(values)
    median = float(values[of // 2]) if of else math.nan
    if not of or reached < of:
        return Spell(reached, of, math.nan, math.nan, median)
    deviation = np.array([values.std(ddof=1) if of > 1 else np.nan])
    return Spell(reached, of, float(values.mean()), float(half_width(deviation, np.array([of]))[0]), median)
