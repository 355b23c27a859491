"""What is said of a published value beside ours: how far it is, and whether a seed of ours may lie there."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from lipschitz.report.digits import MISSING

FEWEST = 3
"""Seeds below which nothing is predicted: with two, Student's t makes an interval that holds nearly everything."""
LEAST = {"cosine": -1.0, "l2": 0.0, "fid": 0.0, "inception_score": 1.0}
MOST = {"cosine": 1.0}
"""By metric, what no value can pass: an interval ends there."""
YES_NO = ("yes", "no")
NONE, OTHERWISE, FEW = "none finished", "not measured as published", "too few seeds"
PREDICTED = (
    "Prediction interval: where one new seed of ours lies at 95 %, mean ± t s sqrt(1 + 1/n), {reason}; it ends where "
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


def counted(predicted: Sequence[str], near: Sequence[str] = (), within: str = "") -> str:
    """Return how many rows of a table came out how.

    Args:
        predicted: of each row, whether the published value lies in our prediction interval, in words.
        near: of each row, whether it is near; empty where that is not asked.
        within: how far is near, in words.
    """
    yes, judged = YES_NO[0], sum(text in YES_NO for text in predicted)
    said = [f"{list(near).count(yes)} of {judged} within {within}"] if near and judged else []
    said += [f"{list(predicted).count(yes)} of {judged} in the prediction interval"] if judged else []
    said += [f"{list(predicted).count(text)} {text}" for text in (FEW, OTHERWISE, NONE) if text in predicted]
    return f"{len(predicted)} rows: {', '.join(said)}."


def _yes(holds: bool) -> str:
    return YES_NO[0] if holds else YES_NO[1]
