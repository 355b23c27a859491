"""Time that can be cited: synchronised, warmed up, with the interval of its median."""

import math
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import binom


class Timing(NamedTuple):
    """A median in milliseconds with the 95 % interval of the median, from ``n`` calls."""

    median: float
    low: float
    high: float
    n: int


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def median_interval(values: list[float]) -> Timing:
    """Return the median of ``values`` with its distribution-free 95 % interval, by the binomial law."""
    ordered = np.sort(values)
    n = len(ordered)
    rank = int(binom.ppf(0.025, n, 0.5))
    low, high = ordered[max(rank - 1, 0)], ordered[min(n - rank, n - 1)]
    return Timing(float(np.median(ordered)), float(low), float(high), n)


def milliseconds(call: Callable[[], None], device: torch.device) -> float:
    """Return the time that ``call`` takes, the device synchronised before and after."""
    synchronize(device)
    start = time.perf_counter()
    call()
    synchronize(device)
    return 1e3 * (time.perf_counter() - start)


class Stopwatch:
    """Seconds spent in the blocks that it watches, going on from an earlier total."""

    def __init__(self, device: torch.device) -> None:
        self.seconds = 0.0
        self._device = device
        self._start = math.nan

    def __enter__(self) -> None:
        synchronize(self._device)
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        synchronize(self._device)
        self.seconds += time.perf_counter() - self._start
