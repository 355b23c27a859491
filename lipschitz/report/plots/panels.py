"""Lay out figures with panels of fixed size, and set the scale of their axes."""

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from lipschitz.report.plots.look import paper_width, points, text_width
from lipschitz.report.style import GREY

_NARROWEST = 0.85
"""Least width in inches of an axes in a paper's figure."""
_HIGHEST = 9.4
"""Most inches of a paper's figure from top to bottom: those of a page's text."""
_LOWEST = 1.25
"""Least height in inches of an axes in a paper's figure, unless its height on the page is less."""
WIDEST = 20.0
"""Factor between the largest and the smallest value above which an axis of quality is logarithmic."""
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Ticks(NamedTuple):
    """Where an axis has its ticks.

    Attributes:
        multiples: of a logarithmic axis: the largest factor between its ends, and the multiples of a power of ten that
            have a tick up to that factor; on a wider axis only the powers have one.
        most: ticks on a logarithmic axis.
        steps: multiples of a power of ten on a linear axis; None for matplotlib's own choice.
    """

    multiples: tuple[tuple[float, tuple[float, ...]], ...]
    most: int
    steps: Sequence[float] | None


COARSE = Ticks(((150, (1.0, 3.0)),), 7, None)
FINE = Ticks(((10, (1.0, 2.0, 3.0, 5.0, 7.0)), (100, (1.0, 2.0, 5.0))), 9, (1, 2, 2.5, 5, 10))


class DoesNotFitError(Exception):
    """A figure has no room for its labels and its panels in the width of a paper's column, or on its page."""


def panels(
    number: int,
    columns: int,
    title: str,
    subtitle: str = "",
    *,
    size: tuple[float, float] = (2.7, 2.0),
    gap: tuple[float, float] = (0.75, 0.75),
    left: float = 0.75,
    right: float = 0.2,
    bottom: float = 0.55,
    above: float = 0.0,
    below: float = 0.24,
    height: Literal["free", "rows", "square"] = "free",
) -> tuple[Figure, list[Axes]]:
    """Return a figure with axes under a title and a grey subtitle; all lengths are in inches.

    In a paper's figure panels are as wide as its width allows, in fewer columns where they would be too narrow. Title
    and subtitle are not drawn there: they are the figure's label, for a caption.

    Args:
        number: of axes.
        columns: most axes in a row; rows are balanced.
        title: first line of the figure, bold.
        subtitle: lines under the title.
        size: width and height of each axes.
        gap: between neighbours, across and down.
        left, right, bottom: margins of the figure.
        above: height of the titles of the first row's axes.
        below: distance from an axes to the label of its x axis.
        height: how an axes of another width changes its height: it may, it has rows of text, or it stays in shape.

    Raises:
        DoesNotFitError: one axes is wider than a paper's column leaves room for, or all are higher than its page.
    """
    columns = balanced_columns(number, columns)
    top = 0.72 + above + 0.16 * subtitle.count("\n")
    title_width = 0.25 + max(
        text_width(title, 11, bold=True), *(1.04 * text_width(line) for line in subtitle.split("\n")), 0
    )
    width = max(left + columns * size[0] + (columns - 1) * gap[0] + right, title_width)
    if (paper := paper_width()) is not None:
        columns, size = _fitted(number, columns, size, gap[0], paper - left - right, height)
        width, top, bottom = paper, 0.12 + above, bottom - 0.1
    rows = -(-number // columns)
    figure_height = top + rows * size[1] + (rows - 1) * gap[1] + bottom
    if paper is not None and figure_height > _HIGHEST:
        raise DoesNotFitError
    figure = Figure(figsize=(width, figure_height))
    figure.set_label(f"{title}\n{subtitle}")
    if paper is None:
        figure.text(0.2 / width, 1 - 0.2 / figure_height, title, fontsize=11, fontweight="bold", va="center")
        at = (0.2 / width, 1 - 0.33 / figure_height)
        figure.text(*at, subtitle, fontsize=8, color=GREY, va="top", linespacing=1.3)
    axes = []
    for index in range(number):
        row, column = divmod(index, columns)
        x = left + column * (size[0] + gap[0])
        y = figure_height - top - (row + 1) * size[1] - row * gap[1]
        panel = figure.add_axes((x / width, y / figure_height, size[0] / width, size[1] / figure_height))
        # Fixed places for the labels: otherwise every drawing measures every tick's text to put them just beyond.
        panel.xaxis.set_label_coords(0.5, -below / size[1])
        panel.yaxis.set_label_coords(-0.48 / size[0], 0.5)
        axes.append(panel)
    return figure, axes


def _fitted(
    number: int, most: int, size: tuple[float, float], gap: float, room: float, height: str
) -> tuple[int, tuple[float, float]]:
    """Return the number of columns and the size of each axes of a figure with ``room`` inches between its margins."""
    least = min(size[0], _NARROWEST)
    for columns in range(most, 0, -1):
        width = (room - (columns - 1) * gap) / columns
        if width >= least:
            break
    else:
        raise DoesNotFitError
    columns = balanced_columns(number, columns)
    width = (room - (columns - 1) * gap) / columns
    if height == "rows":
        return columns, (width, size[1])
    if height == "square":
        return columns, (width, size[1] * width / size[0])
    return columns, (width, min(size[1], max(size[1] * width / size[0], _LOWEST)))


def columns_of(axes: Sequence[Axes]) -> int:
    """Return the number of axes in the first row that `panels` made."""
    return sum(panel.get_position().y0 == axes[0].get_position().y0 for panel in axes)


def balanced_columns(number: int, columns: int) -> int:
    """Return the number of columns, at most ``columns``, that spreads ``number`` panels evenly over the fewest rows."""
    rows = -(-number // columns)
    return -(-number // rows)


def fit_y_axis(axes: Axes, values: Any, *, linear: bool = False) -> None:
    """Set scale and limits of the y axis by ``values`` alone.

    The interval of two seeds is wide and may be cut: an axis that held it would flatten the lines. The axis is
    logarithmic where positive values span more than a factor of `WIDEST`, unless ``linear``.
    """
    fit_axis(axes, "y", values, widest=math.inf if linear else WIDEST)


def fit_axis(
    axes: Axes,
    which: Literal["x", "y"],
    values: Any,
    *,
    widest: float = WIDEST,
    margins: tuple[float, float] = (0.08, 0.1),
    least: float = 0.0,
    ticks: Ticks = COARSE,
) -> None:
    """Set the scale, the ticks and the limits of an axis by the finite ones of ``values``.

    Args:
        widest: factor between the largest and the smallest value above which the axis is logarithmic, if all are > 0.
        margins: beyond the values at either end, on a logarithmic and on a linear axis, as shares of their range.
        least: smallest margin on a linear axis, as a share of the largest value.
    """
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    axis = axes.xaxis if which == "x" else axes.yaxis
    if low > 0 and high > widest * low:
        axes.set(**{f"{which}scale": "log"})
        subs = next((subs for factor, subs in ticks.multiples if high < factor * low), (1.0,))
        axis.set_major_locator(LogLocator(subs=subs, numticks=ticks.most))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(log_tick))
        margin = (high / low) ** margins[0]
        ends = (low / margin, high * margin)
    else:
        axis.set_major_locator(MaxNLocator(5, steps=ticks.steps))
        margin = max(margins[1] * (high - low), least * abs(high)) or 0.1 * abs(high) or 1.0
        ends = (low - margin, high + margin)
    axes.set(**{f"{which}lim": ends})


def log_tick(value: float, _: int) -> str:
    """Return the label of a tick on a logarithmic axis: a plain number near one, else a power of ten."""
    if 0.01 <= value < 1000:
        return f"{value:g}"
    exponent = math.log10(value)
    return "10" + f"{round(exponent)}".translate(_SUPERSCRIPT) if exponent.is_integer() else f"{value:g}"


def reference_line(axes: Axes, y: float, text: str) -> None:
    """Draw a dashed grey line across the axes at ``y`` and name it at its left end."""
    axes.axhline(y, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    axes.annotate(
        text,
        (0.01, y),
        xycoords=("axes fraction", "data"),
        xytext=(0, 2),
        textcoords="offset points",
        fontsize=points(7.5),
        color=GREY,
    )
