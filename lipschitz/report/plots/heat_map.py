"""Draw a heat map with a row for each method and a column for each layer, the value written in each cell."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from numpy.typing import NDArray

from lipschitz.report.number_format import show
from lipschitz.report.plots.look import points, text_width
from lipschitz.report.plots.rows import Rows

COLUMN = 0.44
"""Inches of a column."""
_MISSING = "#efefef"


def heat_map(
    panel: Axes,
    values: NDArray[np.float64],
    shade: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    shades: str,
    rows: Rows,
    columns: Sequence[str],
    *,
    has_labels: bool,
) -> None:
    """Draw ``values``, (rows, columns), with two digits in each cell; NaN is a grey cell without a number.

    Args:
        panel: where to draw.
        values: of each method and layer.
        shade: maps values to [0, 1], elementwise.
        shades: name of matplotlib's colour map for the result.
        rows: labels and heights of the rows.
        columns: labels of the columns.
        has_labels: whether the labels of the rows are shown.
    """
    colours = colormaps[shades](np.nan_to_num(shade(values)))
    colours[np.isnan(values)] = (*(int(_MISSING[i : i + 2], 16) / 255 for i in (1, 3, 5)), 1.0)
    panel.pcolormesh(np.arange(len(columns) + 1) - 0.5, rows.edges, colours, edgecolors="white", linewidth=0.6)
    is_dark = colours[..., :3] @ (0.299, 0.587, 0.114) < 0.5
    for row, column in np.argwhere(np.isfinite(values)):
        colour = "white" if is_dark[row, column] else "black"
        text = _two_digits(float(values[row, column]))
        panel.text(column, rows.places[row], text, ha="center", va="center", fontsize=points(7), color=colour)
    rows.label(panel, shown=has_labels)
    panel.set_xticks(range(len(columns)), columns, rotation=90 if is_turned(columns) else 0)
    panel.tick_params(axis="x", length=0, labelsize=points(7.5))
    panel.spines[:].set_visible(False)


def _two_digits(value: float) -> str:
    if 100 <= value < 10_000:
        return f"{value:.0f}"
    return f"{value:#.2g}".rstrip(".") if 0.01 <= abs(value) < 100 else show(value, 2)


def is_turned(columns: Sequence[str]) -> bool:
    """Return whether the labels of the columns are written upwards, because they are wider than a column."""
    return max(map(_width, columns)) > COLUMN - 0.04


def label_height(columns: Sequence[str]) -> float:
    """Return the inches that the labels below the columns need."""
    return 0.3 + (max(map(_width, columns)) if is_turned(columns) else 0.12)


def _width(text: str) -> float:
    return text_width(text, points(7.5))
