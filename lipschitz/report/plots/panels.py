"""Lay out figures with panels of fixed size, set the scale of their axes, and write them as SVG, PDF and PNG."""

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, cast

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from lipschitz.report.style import GREY, INK

FORMATS = ("svg", "pdf", "png")
_RC_PARAMS: dict[str, Any] = {
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "axes.titley": 1.03,
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    # Type 42 would embed TrueType fonts, but subsetting them for every file takes as long as all of the drawing.
    "pdf.fonttype": 3,
    "svg.fonttype": "none",
    "svg.hashsalt": "lipschitz",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": GREY,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.color": GREY,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 8,
}

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


@contextmanager
def report_style() -> Iterator[None]:
    """Set matplotlib's parameters to those of the report, and restore the former ones at the end."""
    with mpl.rc_context():
        mpl.rcdefaults()
        cast(Any, mpl.rcParams).update(_RC_PARAMS)
        yield


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
) -> tuple[Figure, list[Axes]]:
    """Return a figure with axes under a title and a grey subtitle; all lengths are in inches.

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
    """
    columns = balanced_columns(number, columns)
    rows = -(-number // columns)
    top = 0.72 + above + 0.16 * subtitle.count("\n")
    body = columns * size[0] + (columns - 1) * gap[0]
    title_width = 0.25 + max(0.1 * len(title), *(0.066 * len(line) for line in subtitle.split("\n")), 0)
    width = max(left + body + right, title_width)
    height = top + rows * size[1] + (rows - 1) * gap[1] + bottom
    figure = Figure(figsize=(width, height))
    figure.text(0.2 / width, 1 - 0.2 / height, title, fontsize=11, fontweight="bold", va="center")
    figure.text(0.2 / width, 1 - 0.33 / height, subtitle, fontsize=8, color=GREY, va="top", linespacing=1.3)
    axes = []
    for index in range(number):
        row, column = divmod(index, columns)
        x = left + column * (size[0] + gap[0])
        y = height - top - (row + 1) * size[1] - row * gap[1]
        panel = figure.add_axes((x / width, y / height, size[0] / width, size[1] / height))
        # Fixed places for the labels: otherwise every drawing measures every tick's text to put them just beyond.
        panel.xaxis.set_label_coords(0.5, -below / size[1])
        panel.yaxis.set_label_coords(-0.48 / size[0], 0.5)
        axes.append(panel)
    return figure, axes


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
        fontsize=7.5,
        color=GREY,
    )


def render(figure: Figure) -> dict[str, bytes]:
    """Return the figure in each of `FORMATS`, without dates, so that the same figure gives the same bytes."""
    metadata: dict[str, dict[str, None]] = {
        "svg": {"Date": None},
        "pdf": {"CreationDate": None},
        "png": {"Software": None},
    }
    files = {}
    for kind in FORMATS:
        buffer = io.BytesIO()
        # The default compression level takes twice as long and saves a few per cent.
        options: dict[str, Any] = {"pil_kwargs": {"compress_level": 1}} if kind == "png" else {}
        figure.savefig(buffer, format=kind, dpi=100, metadata=metadata[kind], **options)
        files[kind] = buffer.getvalue()
    return files
