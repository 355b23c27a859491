"""Times of a step: their intervals, which are unsteady because the rounds disagree, and the ratio to no constraint."""

import math
from collections.abc import Mapping
from typing import Any

from lipschitz.report.reading.timing import STEP, STEP_UNCAPTURED, is_captured, timed_parts
from lipschitz.report.statistics.intervals import MEDIAN, Interval
from lipschitz.sweep.timing.timing_files import DRIFT, drifts

UNSTEADY = "unsteady"
"""In the place of a ratio, and beside a time, whose rounds differ by more than `DRIFT`."""


def timed_intervals(timing: Mapping[str, Any]) -> dict[str, Interval]:
    """Return by metric each number of ``timing`` that is in the summary; a time has the interval of its median."""
    return {
        name: Interval.of_timing(part) if isinstance(part, Mapping) else Interval.around(float(part), math.nan, 1)
        for name, part in timed_parts(timing).items()
    }


def drift(timing: Mapping[str, Any], metric: str) -> float:
    """Return how far the slowest round of a time is above the fastest, relative to that, if more than `DRIFT`; else 0.

    The times of launched steps have no rounds where steps are captured.
    """
    part = metric if is_captured(timing) else {STEP_UNCAPTURED: STEP}.get(metric, metric)
    found = drifts(timing).get(part, 0.0)
    return found if found > DRIFT else 0.0


def is_unsteady(timing: Mapping[str, Any]) -> bool:
    """Return whether the rounds of any part of an iteration differ by more than `DRIFT`."""
    return any(found > DRIFT for found in drifts(timing).values())


def step_ratio(timing: Mapping[str, Any], reference: Mapping[str, Any]) -> Interval | None:
    """Return the time of a discriminator step over that of ``reference``; its ends are those of single rounds.

    The rounds time the methods in turn, so that the ratio of two times of one round is hardly moved by a machine whose
    speed drifts. It is None where the two cannot be compared: on different devices, one captured and one not, or one of
    them not timed.
    """
    comparable = timing.get("device", "") == reference.get("device", "") and is_captured(timing) == is_captured(
        reference
    )
    if not comparable or STEP not in timing or STEP not in reference:
        return None
    ratio = float(timing[STEP]["median"]) / float(reference[STEP]["median"])
    rounds, others = (one.get("rounds", {}).get(STEP, []) for one in (timing, reference))
    if len(rounds) != len(others) or not rounds:
        return Interval.around(ratio, math.nan, 0, MEDIAN)
    ratios = [ratio, *(mine / other for mine, other in zip(rounds, others, strict=True))]
    return Interval(ratio, min(ratios), max(ratios), len(rounds), MEDIAN)


def ratio_text(timing: Mapping[str, Any], reference: Mapping[str, Any], missing: str) -> str:
    """Return the ratio of `step_ratio` to two decimal places; `UNSTEADY` where the rounds of either time disagree."""
    found = step_ratio(timing, reference)
    if found is None:
        return missing
    if drift(timing, STEP) or drift(reference, STEP):
        return UNSTEADY
    ends = f" [{found.low:.2f}, {found.high:.2f}]" if found.has_ends and timing is not reference else ""
    return f"{found.mean:.2f}{ends}"
