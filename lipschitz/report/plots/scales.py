"""The scale of an axis, by the values that it must show: linear, or logarithmic where they lie far apart."""

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

WIDEST = 20.0
"""Factor between the largest and the smallest value above which an axis of quality is logarithmic."""
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Ticks(NamedTuple):
    """Where an axis has its ticks."""

    within: tuple[tuple[float, tuple[float, ...]], ...]
    """Of a logarithmic axis: factor between the ends, and the multiples of a power of ten below it; else the powers."""
    most: int
    """On a logarithmic axis."""
    steps: Sequence[float] | None
    """Multiples of a power of ten on a linear axis; None for matplotlib's own."""


COARSE = Ticks(((150, (1.0, 3.0)),), 7, None)
FINE = Ticks(((10, (1.0, 2.0, 3.0, 5.0, 7.0)), (100, (1.0, 2.0, 5.0))), 9, (1, 2, 2.5, 5, 10))


def fit(
    axes: Axes,
    which: Literal["x", "y"],
    values: Any,
    *,
    widest: float = WIDEST,
    margins: tuple[float, float] = (0.08, 0.1),
    least: float = 0.0,
    ticks: Ticks = COARSE,
) -> None:
    """Set the scale, the ticks and the limits of an axis by ``values``; those that are not finite count for nothing.

    Args:
        widest: factor between the largest and the smallest value above which the axis is logarithmic, if all are > 0.
        margins: beyond the values at either end, as shares of their distance: on a logarithmic and on a linear axis.
        least: of the margin on a linear axis, as a share of the largest value.
    """
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    axis = axes.xaxis if which == "x" else axes.yaxis
    if low > 0 and high > widest * low:
        axes.set(**{f"{which}scale": "log"})
        subs = next((multiples for factor, multiples in ticks.within if high < factor * low), (1.0,))
        axis.set_major_locator(LogLocator(subs=subs, numticks=ticks.most))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(power))
        margin = (high / low) ** margins[0]
        ends = (low / margin, high * margin)
    else:
        axis.set_major_locator(MaxNLocator(5, steps=ticks.steps))
        margin = max(margins[1] * (high - low), least * abs(high)) or 0.1 * abs(high) or 1.0
        ends = (low - margin, high + margin)
    axes.set(**{f"{which}lim": ends})


def power(value: float, _: int) -> str:
    """Return a tick of a logarithmic axis: a plain number near one, else a power of ten, which is never wide."""
    if 0.01 <= value < 1000:
        return f"{value:g}"
    exponent = math.log10(value)
    return "10" + f"{round(exponent)}".translate(_SUPERSCRIPT) if exponent.is_integer() else f"{value:g}"
