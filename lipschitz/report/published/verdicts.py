"""Judge a published value beside ours: whether it is near our mean, and whether it lies in the prediction interval."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from lipschitz.report.number_format import MISSING
from lipschitz.report.statistics.intervals import LEVEL, PREDICTION

FEWEST = 3
"""Fewest seeds for a prediction: with two, the interval by Student's t is so wide that it holds nearly everything."""
LEAST = {"cosine": -1.0, "l2": 0.0, "fid": 0.0, "inception_score": 1.0}
MOST = {"cosine": 1.0}
"""Lowest and highest possible value by metric: an interval ends there."""
YES_NO = ("yes", "no")
NONE, OTHERWISE, FEW = "none finished", "not measured as published", "too few seeds"
PREDICTED = (
    f"{PREDICTION.short.capitalize()}: where one new seed of ours lies at {LEVEL}, {PREDICTION.formula}{{reason}}; it "
    f"ends where the metric does, and fewer than {FEWEST} seeds have none."
)


class Verdict(NamedTuple):
    """Whether a published value is near the mean of ours, and whether it lies in our prediction interval."""

    near: str
    predicted: str


def verdict(published: float, ours: float, predicted: tuple[float, float], n: int, near: float = 0.0) -> Verdict:
    """Return in words whether a published value is near our mean, and whether it lies in our prediction interval.

    Args:
        published: the value.
        ours: our mean.
        predicted: the ends of the interval for one new seed.
        n: number of seeds behind it.
        near: largest absolute difference that is called near.
    """
    if n < FEWEST:
        return Verdict(MISSING, FEW)
    return Verdict(_yes(abs(ours - published) <= near), _yes(predicted[0] <= published <= predicted[1]))


def prediction_interval_text(
    metric: str, predicted: tuple[float, float], n: int, number: Callable[[float], str]
) -> str:
    """Return the ends of the interval for one new seed; a dash where ``n`` is below `FEWEST`.

    Args:
        metric: its possible range limits the interval.
        predicted: the ends.
        n: number of seeds behind it.
        number: formats each end.
    """
    if n < FEWEST:
        return MISSING
    low, high = predicted
    return f"{number(max(low, LEAST.get(metric, low)))} to {number(min(high, MOST.get(metric, high)))}"


def with_places(value: float, places: int) -> str:
    """Return ``value`` with ``places`` digits after the point; a dash where it is missing."""
    return f"{value:.{places}f}" if math.isfinite(value) else MISSING


def signed(number: str) -> str:
    """Return a printed number with its sign; a zero has none."""
    if float(number) == 0:
        return number.lstrip("-")
    return number if number.startswith("-") else f"+{number}"


def count_verdicts(rows: Sequence[tuple[Verdict, bool]], kinds: tuple[str, str], within: str = "") -> str:
    """Return a line that counts the verdicts of a table, separately for runs as published and for other runs.

    Args:
        rows: the verdict of each row, and whether it was run as published.
        kinds: the names of rows that were run as published, and of those that were not.
        within: largest difference that is near, in words; empty where nearness is not judged.
    """
    of_kinds = [[judged for judged, alike in rows if alike is wanted] for wanted in (True, False)]
    texts = [
        f"{len(found)} row{'s' * (len(found) > 1)} {kind}: {_outcomes(found, within)}"
        for kind, found in zip(kinds, of_kinds, strict=True)
        if found
    ]
    return f"{'; '.join(texts)}."


def _outcomes(rows: Sequence[Verdict], within: str) -> str:
    yes, predicted = YES_NO[0], [row.predicted for row in rows]
    judged = sum(text in YES_NO for text in predicted)
    texts = [f"{[row.near for row in rows].count(yes)} of {judged} within {within}"] if within and judged else []
    texts += [f"{predicted.count(yes)} of {judged} in the {PREDICTION.short}"] if judged else []
    texts += [f"{predicted.count(text)} {text}" for text in (FEW, OTHERWISE, NONE) if text in predicted]
    return ", ".join(texts)


def _yes(holds: bool) -> str:
    return YES_NO[0] if holds else YES_NO[1]
