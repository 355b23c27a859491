"""What is said of a published value beside ours: how far it is, and whether a seed of ours may lie there."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from lipschitz.report.number_format import MISSING
from lipschitz.report.statistics.intervals import LEVEL, PREDICTION

FEWEST = 3
"""Seeds below which nothing is predicted: with two, Student's t makes an interval that holds nearly everything."""
LEAST = {"cosine": -1.0, "l2": 0.0, "fid": 0.0, "inception_score": 1.0}
MOST = {"cosine": 1.0}
"""By metric, what no value can pass: an interval ends there."""
YES_NO = ("yes", "no")
NONE, OTHERWISE, FEW = "none finished", "not measured as published", "too few seeds"
PREDICTED = (
    f"Prediction interval: where one new seed of ours lies at {LEVEL}, {PREDICTION.formula}{{reason}}; it ends where "
    f"the metric does, and fewer than {FEWEST} seeds have none."
)


class Verdict(NamedTuple):
    """Whether a published value is near the mean of ours, and whether it lies in our prediction interval."""

    near: str
    predicted: str


def verdict(difference: float, half_width: float, n: int, near: float = 0.0) -> Verdict:
    """Return in words how far a published value is from the mean of ours.

    Args:
        difference: ours - published.
        half_width: of the interval for one new seed.
        n: seeds behind it.
        near: how far is still called near.
    """
    if n < FEWEST:
        return Verdict(MISSING, FEW)
    return Verdict(_yes(abs(difference) <= near), _yes(abs(difference) <= half_width))


def interval(metric: str, mean: float, half_width: float, n: int, number: Callable[[float], str]) -> str:
    """Return the ends of the interval for one new seed, a dash where ``n`` is too few for one.

    Args:
        metric: whose range it cannot pass.
        mean: its middle.
        half_width: of the interval.
        n: seeds behind it.
        number: how each end is printed.
    """
    if n < FEWEST:
        return MISSING
    low, high = mean - half_width, mean + half_width
    return f"{number(max(low, LEAST.get(metric, low)))} to {number(min(high, MOST.get(metric, high)))}"


def fixed(value: float, places: int) -> str:
    """Return ``value`` with so many places after the point, a dash where it is missing."""
    return f"{value:.{places}f}" if math.isfinite(value) else MISSING


def signed(number: str) -> str:
    """Return a printed number with its sign; one that is printed as zero has none."""
    if float(number) == 0:
        return number.lstrip("-")
    return number if number.startswith("-") else f"+{number}"


def counted(rows: Sequence[tuple[Verdict, bool]], kinds: tuple[str, str], within: str = "") -> str:
    """Return how many rows of a table came out how, of either kind apart: other runs may well come out otherwise.

    Args:
        rows: what is said of each, and whether it was run as published.
        kinds: what rows are called that were, and that were not.
        within: how far is near, in words; empty where that is not asked.
    """
    of_kinds = [[judged for judged, alike in rows if alike is wanted] for wanted in (True, False)]
    said = [
        f"{len(found)} row{'s' * (len(found) > 1)} {kind}: {_outcomes(found, within)}"
        for kind, found in zip(kinds, of_kinds, strict=True)
        if found
    ]
    return f"{'; '.join(said)}."


def _outcomes(rows: Sequence[Verdict], within: str) -> str:
    yes, predicted = YES_NO[0], [row.predicted for row in rows]
    judged = sum(text in YES_NO for text in predicted)
    said = [f"{[row.near for row in rows].count(yes)} of {judged} within {within}"] if within and judged else []
    said += [f"{predicted.count(yes)} of {judged} in the {PREDICTION.short}"] if judged else []
    said += [f"{predicted.count(text)} {text}" for text in (FEW, OTHERWISE, NONE) if text in predicted]
    return ", ".join(said)


def _yes(holds: bool) -> str:
    return YES_NO[0] if holds else YES_NO[1]
