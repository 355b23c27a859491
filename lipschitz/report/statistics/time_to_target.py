"""Time to reach a target quality over seeds, right-censored at the end of training, and the choice of the target."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from lipschitz.errors import InputError, nearest
from lipschitz.metrics.catalogue import CATALOGUE, metric_of
from lipschitz.report.reading.metric_names import base, better, heading
from lipschitz.report.reading.results import Results
from lipschitz.report.statistics.intervals import MISSING_INTERVAL, Interval, mean_interval

_DIGITS = 3


class Target(NamedTuple):
    """A quality to reach: a recorded metric, and the value from which on it is good enough."""

    metric: str
    value: float

    @property
    def sign(self) -> str:
        """≤ where lower is better, ≥ where higher is."""
        return "≤" if better(self.metric) == "lower" else "≥"

    @property
    def title(self) -> str:
        """The target in the title of a table: ``FID/sngan ≤ 20``."""
        return f"{heading(self.metric).rstrip(' ↓↑')} {self.sign} {self.value:.12g}"


class TimeToEvent(NamedTuple):
    """How long the seeds of one configuration took to reach a target, in any unit.

    Attributes:
        reached: seeds that reached it.
        of: all seeds.
        interval: the mean over seeds; known only if all seeds reached the target.
        median: time of the middle seed; infinite if it finished without reaching the target, NaN if it diverged.
    """

    reached: int
    of: int
    interval: Interval
    median: float


def time_to_event(times: Sequence[float]) -> TimeToEvent:
    """Summarise the times of several seeds, some of which are right-censored.

    The time of a seed that did not reach the target is unknown, so the mean is known only if all seeds reached it. The
    median is known if more than half of them did. It is the ``n // 2 + 1``-th of n times, without interpolation.

    Args:
        times: in any unit; infinite for a seed that finished without reaching the target, NaN for one that diverged,
            which is ordered after all others.
    """
    # NumPy sorts NaN to the end.
    values = np.sort(np.asarray(times, dtype=float))
    reached, of = int(np.isfinite(values).sum()), len(values)
    median = float(values[of // 2]) if of else math.nan
    all_reached = 0 < of == reached
    return TimeToEvent(reached, of, mean_interval(list(values)) if all_reached else MISSING_INTERVAL, median)


def parse_targets(texts: Iterable[str]) -> list[Target]:
    """Return the targets that are written ``METRIC=VALUE``.

    Raises:
        InputError: the form is wrong, the metric is unknown or has no good direction, or the value is not finite.
    """
    return [_parse_target(text) for text in texts]


def check_targets(targets: Iterable[Target], results: Results) -> None:
    """Refuse a target whose metric the sweep did not record.

    Raises:
        InputError: which one, and what was recorded.
    """
    recorded = [name for name in results.records["metric"].unique() if better(name)]
    for target in targets:
        if target.metric not in recorded:
            raise InputError(f"--reach: '{target.metric}' was not recorded here; {nearest(target.metric, recorded)}")


def default_target(metric: str, means: Iterable[float], untrained: Iterable[float] = ()) -> Target | None:
    """Return the median of the configurations' means as a target; None if fewer than two means are finite.

    It depends on finished runs only, and on all methods of the sweep alike. It is rounded towards the easier side, so
    that the middle one of an odd number of configurations reaches it. A target that a network reaches before it is
    trained says nothing: where the median is not better than all ``untrained`` values, it is that of the means that
    are, and None where none is.
    """
    finite = [mean for mean in means if math.isfinite(mean)]
    if len(finite) < 2:
        return None
    sign = 1 if better(metric) == "lower" else -1
    hardest = min((sign * value for value in untrained if math.isfinite(value)), default=math.inf)
    for among in (finite, [mean for mean in finite if sign * mean < hardest]):
        median = float(np.median(among)) if among else math.inf * sign
        if sign * median < hardest:
            rounded = _rounded_to_easier(median, better(metric))
            return Target(metric, rounded if sign * rounded < hardest else median)
    return None


def _parse_target(text: str) -> Target:
    metric, equals, number = (part.strip() for part in text.rpartition("="))
    if not (metric and equals):
        raise InputError(f"--reach {text}: expected METRIC=VALUE, for example w1=0.3")
    if metric_of(base(metric)).better is None:
        judging = [name for name, one in CATALOGUE.items() if one.better]
        raise InputError(f"--reach {text}: '{metric}' has no better direction; {nearest(metric, judging)}")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(
            f"--reach {text}: '{number}' is not a finite number; expected METRIC=VALUE, for example {metric}=0.3"
        )
    return Target(metric, value)


def _rounded_to_easier(value: float, direction: str | None) -> float:
    """Return ``value`` to three digits, rounded up if lower is better and down if higher is."""
    if value == 0:
        return value
    unit = 10.0 ** (math.floor(math.log10(abs(value))) + 1 - _DIGITS)
    # A value that has three digits already must not move because of rounding errors of the division.
    places = round(value / unit, 6)
    return float(f"{(math.ceil if direction == 'lower' else math.floor)(places) * unit:.{_DIGITS + 1}g}")
