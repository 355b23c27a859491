"""Figures with margins in inches, so that nothing has to be laid out twice."""

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lipschitz.report.plots.scales import WIDEST, fit
from lipschitz.report.style import GREY, INK

FORMATS = ("svg", "pdf", "png")
_LOOK: dict[str, Any] = {
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
    # Type 3: subsetting a TrueType font (42) for every file would take as long as all of the drawing.
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


@contextmanager
def look() -> Iterator[None]:
    """Draw in the report's own look, whatever the reader's matplotlib is set to; nothing global stays changed."""
    with mpl.rc_context():
        mpl.rcdefaults()
        cast(Any, mpl.rcParams).update(_LOOK)
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
        number: how many axes; in rows of at most ``columns``, balanced.
        columns: most axes in a row.
        title: first line of the figure, bold.
        subtitle: lines under it.
        size: width and height of each axes.
        gap: between neighbours, across and down.
        left, right, bottom: margins of the figure.
        above: room for the titles of the first row's axes.
        below: from an axes to the label of its x axis.
    """
    columns = balanced(number, columns)
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


def balanced(number: int, columns: int) -> int:
    """Return how many columns, at most ``columns``, spread ``number`` panels most evenly over as few rows."""
    rows = -(-number // columns)
    return -(-number // rows)


def scale(axes: Axes, values: Any, *, linear: bool = False) -> None:
    """Set the y axis by ``values``, and only by them: an interval of two seeds may be cut, so that it flattens no line.

    The axis is logarithmic where positive values span more than a factor of 20, unless it has to be ``linear``.
    """
    fit(axes, "y", values, widest=math.inf if linear else WIDEST)


def horizontal(axes: Axes, y: float, text: str) -> None:
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
    """Return the figure in each of `FORMATS`, without dates: the same figure gives the same bytes."""
    metadata: dict[str, dict[str, None]] = {
        "svg": {"Date": None},
        "pdf": {"CreationDate": None},
        "png": {"Software": None},
    }
    files = {}
    for kind in FORMATS:
        buffer = io.BytesIO()
        # zlib's default level takes twice as long for some per cent.
        options: dict[str, Any] = {"pil_kwargs": {"compress_level": 1}} if kind == "png" else {}
        figure.savefig(buffer, format=kind, dpi=100, metadata=metadata[kind], **options)
        files[kind] = buffer.getvalue()
    return files
