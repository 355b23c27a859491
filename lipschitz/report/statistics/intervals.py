"""Mean and 95 % Student-t interval over training seeds: pure functions of a DataFrame."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

CONFIDENCE = 0.95


def half_width(deviation: NDArray[np.float64], n: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the half-width of the two-sided 95 % Student-t interval of a mean, NaN where n < 2.

    Args:
        deviation: sample standard deviations (divisor n - 1), any shape.
        n: numbers of independent values, the same shape.

    Source: Student 1908, The probable error of a mean; t quantile with n - 1 degrees of freedom over sqrt(n).
    """
    return _quantile(n) * deviation / np.sqrt(np.maximum(n, 1))


def prediction_half_width(deviation: NDArray[np.float64], n: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the half-width of the 95 % interval for one new value around the mean of n others, NaN where n < 2.

    t s √(1 + 1/n), with the t quantile of n - 1 degrees of freedom: one more value of the same normal distribution lies
    within it of the mean of n with probability 0.95.

    Args:
        deviation: sample standard deviations s (divisor n - 1), any shape.
        n: numbers of independent values, the same shape.

    Source: Hahn and Meeker 1991, Statistical Intervals; the prediction interval for one future observation.
    """
    return _quantile(n) * deviation * np.sqrt(1 + 1 / np.maximum(n, 1))


def _quantile(n: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return Student's t at 0.975 with n - 1 degrees of freedom, NaN where there are none."""
    quantile: NDArray[np.float64] = stdtrit(np.where(n >= 2, n - 1, 1), 0.5 + CONFIDENCE / 2)
    return np.where(n >= 2, quantile, np.nan)


def aggregate(frame: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return one row for each group of ``by`` that has a ``value``: its n, mean and ci95 (NaN where n = 1).

    Missing values (NaN) are left out of n. An infinite one (a bound that does not exist) makes the mean infinite, its
    interval NaN. Groups keep the order of their first appearance, and each row of ``frame`` must come from another
    training seed within its group.
    """
    table = describe(frame, by)
    table["ci95"] = half_width(table.pop("deviation").to_numpy(float), table["n"].to_numpy())
    return table


def describe(frame: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return one row for each group of ``by`` that has a ``value``: its n, mean and deviation (divisor n - 1)."""
    there = frame[frame["value"].notna()]
    groups = there.groupby(list(by), sort=False, observed=True)["value"]
    table: pd.DataFrame = groups.agg(n="count", mean="mean", deviation="std").reset_index()
    return table
