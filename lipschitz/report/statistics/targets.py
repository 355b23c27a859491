"""Which quality is asked for: a metric and a value, as somebody writes it or as the median of what was reached."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from lipschitz.errors import InputError, nearest
from lipschitz.metrics.catalogue import CATALOGUE, metric_of
from lipschitz.report.reading.protocols import base
from lipschitz.report.reading.results import Results
from lipschitz.report.reading.titles import heading

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
    def said(self) -> str:
        """The target as a title says it."""
        return f"{heading(self.metric).rstrip(' ↓↑')} {self.sign} {self.value:.12g}"


def better(metric: str) -> str | None:
    """Return which direction of a recorded metric is good, None where neither is or the catalogue does not know it."""
    known = CATALOGUE.get(base(metric))
    return None if known is None else known.better


def parse(texts: Iterable[str]) -> list[Target]:
    """Return the targets that are written ``METRIC=VALUE``.

    Raises:
        InputError: one is not written so, names no metric that judges, or no finite number.
    """
    return [_parsed(text) for text in texts]


def check(targets: Iterable[Target], results: Results) -> None:
    """Refuse a target whose metric the sweep did not record.

    Raises:
        InputError: which one, and what was recorded.
    """
    recorded = [name for name in results.records["metric"].unique() if better(name)]
    for target in targets:
        if target.metric not in recorded:
            raise InputError(f"--reach: '{target.metric}' was not recorded here; {nearest(target.metric, recorded)}")


def default_target(metric: str, means: Iterable[float]) -> Target | None:
    """Return the median of what the configurations reached; None where fewer than two have a finite mean.

    It is a function of finished runs alone, and no method of the sweep has a part in it that others have not.
    Rounding towards the easier side keeps the middle one of an odd number at or beyond its own mean.
    """
    finite = [mean for mean in means if math.isfinite(mean)]
    return Target(metric, _eased(float(np.median(finite)), better(metric))) if len(finite) > 1 else None


def _parsed(text: str) -> Target:
    metric, equals, number = (part.strip() for part in text.rpartition("="))
    if not (metric and equals):
        raise InputError(f"--reach {text}: write METRIC=VALUE, such as w1=0.3")
    known = metric_of(base(metric))
    if known.better is None:
        judging = [name for name, one in CATALOGUE.items() if one.better]
        raise InputError(f"--reach {text}: '{metric}' has no better direction; {nearest(metric, judging)}")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"--reach {text}: '{number}' is no finite number; write METRIC=VALUE, such as {metric}=0.3")
    return Target(metric, value)


def _eased(value: float, direction: str | None) -> float:
    """Return ``value`` to three digits, no harder to reach than it is."""
    if value == 0:
        return value
    unit = 10.0 ** (math.floor(math.log10(abs(value))) + 1 - _DIGITS)
    # What is already on the grid stays there, whatever the division leaves of it.
    places = round(value / unit, 6)
    return float(f"{(math.ceil if direction == 'lower' else math.floor)(places) * unit:.{_DIGITS + 1}g}")
