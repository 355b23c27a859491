"""Intervals: which one is used, how it is computed from training seeds, how it is printed and named in captions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from lipschitz.report.number_format import show_interval, show_range
from lipschitz.report.reading.timing import TIMES
from lipschitz.report.statistics.geometric import IN_WORDS, is_geometric

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
GEOMETRIC = IntervalMethod(
    f"{LEVEL} Student-t interval of the logarithm", f"{LEVEL} interval", "exp(mean of the logarithms ± t s / sqrt(n))"
)
"""Of the geometric mean over n training seeds whose logarithms have standard deviation s; see `is_geometric`."""
MEANS = f"mean ± {MEAN.name} over training seeds; of {IN_WORDS} the geometric mean [{GEOMETRIC.name}]"
"""For captions: what a cell of a quantity holds."""
PREDICTION = IntervalMethod(
    f"{LEVEL} prediction interval",
    "prediction interval",
    f"mean ± t s sqrt(1 + 1/n), of logarithms for {IN_WORDS}",
)
"""Of one new seed, around the mean of n others."""
MEDIAN = IntervalMethod(
    f"{LEVEL} interval of the median, by order statistics", "interval of the median", "order statistics"
)
"""Of the median of a timing: the union of the distribution-free interval of its calls and the medians of the rounds."""
BOOTSTRAP = IntervalMethod(f"{LEVEL} interval by bootstrap", f"{LEVEL} interval", "quantiles of resampled values")
"""Of a rank correlation: methods are resampled, then the seeds of each."""
SCORE = IntervalMethod(f"{LEVEL} interval by the score method", f"{LEVEL} interval", "Newcombe 2006, method 5")
"""Of a probability of improvement; see `lipschitz.report.statistics.improvement`."""


def method_of(metric: str) -> IntervalMethod:
    """Return how the interval of a metric in the summary is computed."""
    if metric in TIMES:
        return MEDIAN
    return GEOMETRIC if is_geometric(metric) else MEAN


@dataclass(frozen=True)
class Interval:
    """A mean, or the median of a timing, with its interval.

    Attributes:
        mean: over the seeds, a geometric one if the method is `GEOMETRIC`, or the median of a timing; NaN where nothing
            was measured.
        low: lower end; NaN where there is no interval (one seed).
        high: upper end.
        n: number of independent values.
    """

    mean: float
    low: float
    high: float
    n: int
    method: IntervalMethod = MEAN

    @classmethod
    def around(cls, mean: float, half_width: float, n: int, method: IntervalMethod = MEAN) -> "Interval":
        """Return the symmetric interval around ``mean``; a ``half_width`` of NaN is no interval."""
        return cls(mean, mean - half_width, mean + half_width, n, method)

    @classmethod
    def of_row(cls, row: Mapping[Any, Any]) -> "Interval":
        """Return the interval of a row of `aggregate` or of the summary: metric, mean, low, high, n."""
        return cls(row["mean"], row["low"], row["high"], int(row["n"]), method_of(row["metric"]))

    @classmethod
    def of_timing(cls, timed: Mapping[str, Any]) -> "Interval":
        """Return the interval of a timed part of a step, which the timing pass stores as median, low, high and n."""
        low, high = float(timed.get("low", math.nan)), float(timed.get("high", math.nan))
        return cls(float(timed["median"]), low, high, int(timed.get("n", 0)), MEDIAN)

    @property
    def has_ends(self) -> bool:
        """Whether there is an interval around the mean."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def centre(self) -> float:
        """The mean on the scale on which the interval is symmetric: of a geometric mean its logarithm."""
        return self._scaled(self.mean)

    @property
    def half_width(self) -> float:
        """Half of the distance between the ends on the scale of `centre`; NaN where there is no interval."""
        return self._scaled(self.high) - self.centre if self.method is GEOMETRIC else (self.high - self.low) / 2

    def _scaled(self, value: float) -> float:
        if self.method is not GEOMETRIC:
            return value
        return math.log(value) if value > 0 else math.nan

    @property
    def text(self) -> str:
        """``mean ± half-width``, or ``mean [low, high]`` of a geometric mean or a median; a dash without a mean.

        The mean alone without an interval.
        """
        if self.method is MEAN:
            return show_interval(self.mean, self.half_width)
        return show_range(self.mean, self.low, self.high)


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

    If ``by`` has ``metric``, the mean of a metric that `is_geometric` is geometric, and its intervals are those of the
    logarithms. Missing values (NaN) are not counted in n. An infinite value (a bound that does not exist) makes the
    mean infinite and the interval NaN, and so does a value of zero a geometric mean zero. A negative value has no
    geometric mean (NaN). Groups keep the order of their first appearance.

    Args:
        frame: columns ``by`` and ``value``; within a group each row comes from another training seed.
        by: columns that name a group.

    Returns:
        Columns ``by``, n, mean, low and high, the ends of the interval of the mean, ci95, half of their distance, and
        predicted_low and predicted_high, the ends of the prediction interval for one new seed; NaN where n = 1.
    """
    present = frame[frame["value"].notna()]
    values = present["value"].to_numpy(float)
    scaled = np.where(_are_geometric(present, by), _logarithm(values), values)
    groups = present.assign(scaled=scaled).groupby(list(by), sort=False, observed=True)
    one, other = ("scaled", "value")
    table: pd.DataFrame = groups.agg(
        n=(one, "size"),
        known=(one, "count"),
        mean=(one, "mean"),
        deviation=(one, "std"),
        least=(other, "min"),
        most=(other, "max"),
    ).reset_index()
    n, known, deviation, least, most = (
        table.pop(name).to_numpy() for name in ("n", "known", "deviation", "least", "most")
    )
    geometric = _are_geometric(table, by)
    mean = np.where(known < n, np.nan, table["mean"].to_numpy(float))

    def ends(half: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return _back(mean - half, geometric), _back(mean + half, geometric)

    low, high = ends(half_width(deviation, n))
    predicted_low, predicted_high = ends(prediction_half_width(deviation, n))
    return table.assign(
        n=n,
        # Rounding errors of the logarithm must not move the mean of equal values.
        mean=np.clip(_back(mean, geometric), least, most),
        low=low,
        high=high,
        ci95=(high - low) / 2,
        predicted_low=predicted_low,
        predicted_high=predicted_high,
    )


def _are_geometric(frame: pd.DataFrame, by: Sequence[str]) -> NDArray[np.bool_]:
    if "metric" not in by:
        return np.zeros(len(frame), dtype=bool)
    return frame["metric"].map({name: is_geometric(name) for name in frame["metric"].unique()}).to_numpy(bool)


def _logarithm(values: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithms: NDArray[np.float64] = np.log(values)
    return logarithms


def _back(scaled: NDArray[np.float64], geometric: NDArray[np.bool_]) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):
        values: NDArray[np.float64] = np.where(geometric, np.exp(np.where(geometric, scaled, 0.0)), scaled)
    return values


def mean_interval(values: Sequence[float], metric: str = "") -> Interval:
    """Return the mean of one value of ``metric`` a seed, at least one, with its interval, as `aggregate` does."""
    n, geometric = np.array([len(values)]), np.array([is_geometric(metric)])
    scaled = np.asarray(values, dtype=float)
    scaled = _logarithm(scaled) if geometric[0] else scaled
    mean = np.mean(scaled, keepdims=True)
    half = half_width(np.std(scaled, ddof=1, keepdims=True) if n[0] > 1 else np.array([np.nan]), n)
    middle, low, high = (float(_back(one, geometric)[0]) for one in (mean, mean - half, mean + half))
    middle = float(np.clip(middle, min(values), max(values)))
    return Interval(middle, low, high, len(values), GEOMETRIC if geometric[0] else MEAN)
