"""Measure time: device-synchronised milliseconds of a call, the interval of a median, a stopwatch for training."""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import bdtr


class Timing(NamedTuple):
    """A median in milliseconds with the 95 % interval of the median, from ``n`` calls."""

    median: float
    low: float
    high: float
    n: int


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished all work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def median_interval(values: list[float]) -> Timing:
    """Return the median of ``values`` with its distribution-free 95 % interval, from the binomial distribution."""
    ordered = np.sort(values)
    n = len(ordered)
    # The 2.5 % quantile of Binomial(n, 1/2).
    rank = int(np.searchsorted(bdtr(np.arange(n + 1), n, 0.5), 0.025))
    low, high = ordered[max(rank - 1, 0)], ordered[min(n - rank, n - 1)]
    return Timing(float(np.median(ordered)), float(low), float(high), n)


def milliseconds(call: Callable[[], object], device: torch.device) -> float:
    """Return the time of ``call`` in milliseconds, with the device synchronised before and after."""
    synchronize(device)
    start = time.perf_counter()
    call()
    synchronize(device)
    return 1e3 * (time.perf_counter() - start)


class Stopwatch:
    """Counts the seconds spent in ``with`` blocks; the total can be set, as after a resume.

    On CUDA a block is timed on its stream by events, from its first operation on the device to its last. The host waits
    for the device only when `seconds` is read.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._total = 0.0
        self._start = 0.0
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    @property
    def seconds(self) -> float:
        """The total so far."""
        for start, end in self._events:
            end.synchronize()
            self._total += start.elapsed_time(end) / 1e3
        self._events.clear()
        return self._total

    @seconds.setter
    def seconds(self, total: float) -> None:
        self._events.clear()
        self._total = total

    def __enter__(self) -> None:
        if self._device.type == "cuda":
            start, end = _event(), _event()
            start.record()
            self._events.append((start, end))
        else:
            self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        if self._device.type == "cuda":
            self._events[-1][1].record()
        else:
            self._total += time.perf_counter() - self._start


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
