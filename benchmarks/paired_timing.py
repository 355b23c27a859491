"""Time two functions in interleaved pairs, and return the median of their ratio with its 95 % interval."""

import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import torch

from lipschitz.training.clock import median_interval, milliseconds

CPU = torch.device("cpu")
Call = Callable[[], object]


class Pair(NamedTuple):
    """Seconds of one call of the baseline and one of the candidate, made directly after each other."""

    baseline: float
    candidate: float


def timed_pairs(
    baseline: Call, candidate: Call, count: int, *, warm_up: int, device: torch.device = CPU
) -> Iterator[Pair]:
    """Yield ``count`` pairs after ``warm_up`` pairs that are not counted. Which call goes first is drawn for each pair.

    A machine that becomes slower then slows both calls, and the ratio of a pair does not change. The device is
    synchronised before and after each call.
    """
    order = random.Random(0)
    for index in range(warm_up + count):
        if order.random() < 0.5:
            first = milliseconds(baseline, device) / 1e3
            pair = Pair(first, milliseconds(candidate, device) / 1e3)
        else:
            first = milliseconds(candidate, device) / 1e3
            pair = Pair(milliseconds(baseline, device) / 1e3, first)
        if index >= warm_up:
            yield pair


def show_progress(pairs: Iterable[Pair], name: str, count: int) -> Iterator[Pair]:
    """Yield the pairs unchanged, and print to stderr how many of ``count`` are done and the seconds left."""
    start = time.perf_counter()
    for done, pair in enumerate(pairs, 1):
        left = (time.perf_counter() - start) / done * (count - done)
        print(f"\r{name}: {done}/{count} pairs, {left:.0f} s left ", end="", file=sys.stderr, flush=True)
        yield pair
    print(file=sys.stderr)


def medians(pairs: Iterable[Pair]) -> dict[str, Any]:
    """Return ``ratio`` (candidate / baseline), ``ms`` and ``ms_baseline``: a median, its 95 % interval and n each."""
    seen = list(pairs)
    return {
        "ratio": median_interval([pair.candidate / pair.baseline for pair in seen])._asdict(),
        "ms": median_interval([1e3 * pair.candidate for pair in seen])._asdict(),
        "ms_baseline": median_interval([1e3 * pair.baseline for pair in seen])._asdict(),
    }


def interval(timing: dict[str, float], digits: int) -> str:
    """Return ``low – high``."""
    return f"{timing['low']:.{digits}f} – {timing['high']:.{digits}f}"
