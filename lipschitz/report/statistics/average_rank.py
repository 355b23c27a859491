"""Average rank of methods over data sets, starts and losses, and how likely a run is better than one of `none`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lipschitz.report.statistics.final_quality import Contest, FinalQuality, Method
from lipschitz.report.statistics.improvement import Improvement, probability_of_improvement
from lipschitz.report.statistics.intervals import Interval, mean_interval

_FEWEST = 3
"""Methods below which ranks say no more than the test of the two."""
_NONE = "none"


class RankedMethod(NamedTuple):
    """A method with its rank in every place, their mean, and how likely its runs improve on those of the reference."""

    constraint: str
    name: str
    ranks: tuple[float, ...]
    average: Interval
    improvement: Improvement | None
    """None for the reference itself."""


@dataclass(frozen=True)
class AverageRanks:
    """Methods by their average rank over the places where all of them were trained.

    Attributes:
        places: each a data set with one network, loss and setting.
        methods: the best average rank first.
        reference: the method that runs are compared with: `none`, or else the method with the best average rank.
        left_out: names of methods that are missing at a place, or have fewer than two seeds or a failed one there.
        places_left_out: those with too few of the methods.
    """

    places: list[str]
    methods: list[RankedMethod]
    reference: str
    left_out: list[str]
    places_left_out: list[str]


def average_ranks(found: Sequence[FinalQuality]) -> AverageRanks | None:
    """Return the average ranks over all contests of a sweep; None with fewer than two contests or three methods.

    At each place the method with the best mean has rank 1; equal means share their ranks. A method with a diverged
    seed there ranks behind all without one. The interval is that of a mean, of one rank a place: places are seen as a
    sample of what else one might train on. Where methods and places make no full table, its largest part is ranked.
    """
    every = [(one, contest) for one in found for contest in one.contests if contest.compared is not None]
    chosen, names = _largest_block([contest for _, contest in every])
    if len(chosen) < 2 or len(names) < _FEWEST:
        return None
    contests = [every[place] for place in chosen]
    usable = [_usable(contest) for _, contest in contests]
    lower = [one.is_lower_better for one, _ in contests]
    values = [
        [_values(methods[name], is_lower) for name in names] for methods, is_lower in zip(usable, lower, strict=True)
    ]
    costs = [
        [_cost(methods[name], is_lower) for name in names] for methods, is_lower in zip(usable, lower, strict=True)
    ]
    ranks = np.array([_ranks(np.array(row)) for row in costs]).T
    order = np.argsort(ranks.mean(axis=1), kind="stable")
    nones = (at for at, name in enumerate(names) if usable[0][name].constraint == _NONE)
    reference = next(nones, int(order[0]))
    methods = []
    for at in map(int, order):
        pairs = [(row[at], row[reference]) for row in values]
        improvement = None if at == reference else probability_of_improvement(pairs, lower)
        average = _within(mean_interval(ranks[at].tolist()), len(names))
        constraint = usable[0][names[at]].constraint
        methods.append(RankedMethod(constraint, names[at], tuple(ranks[at].tolist()), average, improvement))
    trained = dict.fromkeys(method.name for _, contest in every for method in contest.methods)
    return AverageRanks(
        [_place(*one) for one in contests],
        methods,
        names[reference],
        [name for name in trained if name not in names],
        [_place(*one) for place, one in enumerate(every) if place not in chosen],
    )


def _largest_block(contests: Sequence[Contest]) -> tuple[list[int], list[str]]:
    """Return which contests are ranked, and the names of the methods that all of them have.

    These are the contests with the most methods, as many as make the largest full table of contests and methods.
    """
    usable = [_usable(contest) for contest in contests]
    most_first = sorted(range(len(contests)), key=lambda place: -len(usable[place]))
    blocks = []
    for count in range(2, len(contests) + 1):
        first, *others = (usable[place] for place in most_first[:count])
        blocks.append((most_first[:count], [name for name in first if all(name in methods for methods in others)]))
    chosen, names = max(blocks, key=lambda block: len(block[0]) * len(block[1]), default=([], []))
    return sorted(chosen), names


def _usable(contest: Contest) -> dict[str, Method]:
    """Return by name the methods with two seeds or more that ended, and none that failed."""
    return {
        method.name: method
        for method in contest.methods
        if not method.failed and len(method.seeds) + method.diverged > 1
    }


def _values(method: Method, lower_is_better: bool) -> NDArray[np.float64]:
    """Return the values of all seeds; one that diverged has the worst value there is."""
    worst = math.inf if lower_is_better else -math.inf
    return np.array([*method.seeds, *[worst] * method.diverged])


def _cost(method: Method, lower_is_better: bool) -> float:
    if method.diverged or not math.isfinite(method.interval.mean):
        return math.inf
    return method.interval.mean if lower_is_better else -method.interval.mean


def _ranks(costs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank of each cost ``(m,)``, from 1 for the lowest; equal ones share the mean of their ranks."""
    below = (costs[None, :] < costs[:, None]).sum(axis=1)
    equal = (costs[None, :] == costs[:, None]).sum(axis=1)
    ranks: NDArray[np.float64] = below + (equal + 1) / 2
    return ranks


def _within(interval: Interval, methods: int) -> Interval:
    """Return the interval without the ranks that do not exist."""
    return Interval(interval.mean, max(interval.low, 1.0), min(interval.high, float(methods)), interval.n)


def _place(one: FinalQuality, contest: Contest) -> str:
    return ", ".join(filter(None, (one.shown, contest.title)))
