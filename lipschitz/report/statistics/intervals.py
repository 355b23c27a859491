"""Intervals: which one is used, how it is computed from training seeds, how it is printed and named in captions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from lipschitz.report.number_format import show_interval

CONFIDENCE = 0.95
LEVEL = f"{100 * CONFIDENCE:.0f} %"
"""The confidence in captions."""


class IntervalMethod(NamedTuple):
    """How an interval is computed, in the words of captions."""

    name: str
    """In captions of tables: ``95 % Student-t interval``."""
    short: str
    """In captions of figures and heads of columns, where there is less room."""
    formula: str


MEAN = IntervalMethod(f"{LEVEL} Student-t interval", f"{LEVEL} interval", "mean ± t s / sqrt(n)")
"""Of the mean over n training seeds with standard deviation s; t is Student's quantile, n - 1 degrees of freedom."""
PREDICTION = IntervalMethod(f"{LEVEL} prediction interval", "prediction interval", "mean ± t s sqrt(1 + 1/n)")
"""Of one new seed, around the mean of n others."""
MEDIAN = IntervalMethod(
    f"{LEVEL} interval of the median, by order statistics", "interval of the median", "order statistics"
)
"""Of the median of a timing: the union of the distribution-free interval of all calls and the medians of the rounds."""
BOOTSTRAP = IntervalMethod(f"{LEVEL} interval by bootstrap", f"{LEVEL} interval", "quantiles of resampled values")
"""Of a rank correlation: methods are resampled, then the seeds of each."""


@dataclass(frozen=True)
class Interval:
    """A mean, or the median of a timing, with its interval.

    Attributes:
        mean: over the seeds, or the median of a timing; NaN where nothing was measured.
        low: lower end; NaN where there is no interval (one seed).
        high: upper end.
        half_width: half of the distance between the ends.
        n: number of independent values.
    """

    mean: float
    low: float
    high: float
    half_width: float
    n: int
    method: IntervalMethod = MEAN

    @classmethod
    def around(cls, mean: float, half_width: float, n: int, method: IntervalMethod = MEAN) -> "Interval":
        """Return the symmetric interval around ``mean``; a ``half_width`` of NaN is no interval."""
        return cls(mean, mean - half_width, mean + half_width, half_width, n, method)

    @classmethod
    def of_timing(cls, timed: Mapping[str, Any]) -> "Interval":
        """Return the interval of a timed part of a step, which the timing pass stores as median, low, high and n."""
        low, high = float(timed.get("low", math.nan)), float(timed.get("high", math.nan))
        return cls(float(timed["median"]), low, high, (high - low) / 2, int(timed.get("n", 0)), MEDIAN)

    @property
    def has_ends(self) -> bool:
        """Whether there is an interval around the mean."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def text(self) -> str:
        """``mean ± half-width``; the mean alone without an interval, a dash without a mean."""
        return show_interval(self.mean, self.half_width)


MISSING_INTERVAL = Interval.around(math.nan, math.nan, 0)
"""In the place of a value that was not measured."""


def half_width(deviation: NDArray[np.float64], n: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the half-width of the two-sided 95 % Student-t interval of a mean, NaN where n < 2.

    Args:
        deviation: sample standard deviations (divisor n - 1), any shape.
        n: numbers of independent values, the same shape.

    Source: Student 1908, The probable error of a mean; t quantile with n - 1 degrees of freedom over sqrt(n).
    """
    return _quantile(n) * deviation / np.sqrt(np.maximum(n, 1))


def prediction_half_width(deviation: NDArray[np.float64], n: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the half-width of the 95 % prediction interval for one new value around the mean of n others.

    It is t s √(1 + 1/n), with the t quantile of n - 1 degrees of freedom, and NaN where n < 2. One more value of the
    same normal distribution lies in the interval with probability 0.95.

    Args:
        deviation: sample standard deviations s (divisor n - 1), any shape.
        n: numbers of independent values, the same shape.

    Source: Hahn and Meeker 1991, Statistical Intervals; the prediction interval for one future observation.
    """
    return _quantile(n) * deviation * np.sqrt(1 + 1 / np.maximum(n, 1))


def _quantile(n: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return Student's t at 0.975 with n - 1 degrees of freedom, NaN where n < 2."""
    quantile: NDArray[np.float64] = stdtrit(np.where(n >= 2, n - 1, 1), 0.5 + CONFIDENCE / 2)
    return np.where(n >= 2, quantile, np.nan)


def aggregate(frame: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return one row for each group of ``by`` that has a ``value``, with the interval of its mean.

    Missing values (NaN) are not counted in n. An infinite value (a bound that does not exist) makes the mean infinite
    and the interval NaN. Groups keep the order of their first appearance.

    Args:
        frame: columns ``by`` and ``value``; within a group each row comes from another training seed.
        by: columns that name a group.

    Returns:
        Columns ``by``, n, mean, ci95, the half-width of the interval of the mean, and predicted, the half-width of the
        prediction interval for one new seed; both half-widths are NaN where n = 1.
    """
    present = frame[frame["value"].notna()]
    groups = present.groupby(list(by), sort=False, observed=True)["value"]
    table: pd.DataFrame = groups.agg(n="count", mean="mean", deviation="std").reset_index()
    deviation, n = table.pop("deviation").to_numpy(float), table["n"].to_numpy()
    return table.assign(ci95=half_width(deviation, n), predicted=prediction_half_width(deviation, n))


def mean_interval(values: Sequence[float]) -> Interval:
    """Return the mean of one value a seed, at least one, with its interval."""
    n = len(values)
    deviation = np.array([np.std(values, ddof=1) if n > 1 else np.nan])
    return Interval.around(float(np.mean(values)), float(half_width(deviation, np.array([n]))[0]), n)
