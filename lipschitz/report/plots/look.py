"""Fonts and lines of figures: of the report's page, or of a paper's column with the reader's own matplotlib style."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
from matplotlib.font_manager import FontProperties
from matplotlib.style import library
from matplotlib.textpath import TextPath, text_to_path

from lipschitz.errors import InputError, nearest
from lipschitz.report.style import GREY, INK

OWN_STYLE = "matplotlibrc"
"""In the place of a style's name: the matplotlibrc file that matplotlib finds on this machine."""
PAPER_TEXT = 8.0
"""Size of all text in a paper's figures, in points."""
_RC_PARAMS: dict[str, Any] = {
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "axes.titlepad": 5,
    # At a fixed height: otherwise every drawing measures what is above the axes.
    "axes.titley": 1.0,
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
_PAPER: dict[str, Any] = {
    "axes.labelsize": "medium",
    "axes.titlesize": "medium",
    "font.size": PAPER_TEXT,
    "legend.fontsize": "medium",
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "xtick.labelsize": "medium",
    "ytick.labelsize": "medium",
}
# Several venues refuse Type 3 fonts. A tight box would change the width.
_ALWAYS: dict[str, Any] = {"pdf.fonttype": 42, "ps.fonttype": 42, "savefig.bbox": None, "text.parse_math": False}
_paper_width: ContextVar[float | None] = ContextVar("paper_width", default=None)


@contextmanager
def report_style() -> Iterator[None]:
    """Set matplotlib's parameters to those of the report, and restore the former ones at the end."""
    with mpl.rc_context():
        mpl.rcdefaults()
        cast(Any, mpl.rcParams).update(_RC_PARAMS)
        text_width.cache_clear()
        yield
    text_width.cache_clear()


@contextmanager
def paper_style(width: float, own: str | None = None) -> Iterator[None]:
    """Set matplotlib's parameters to those of figures ``width`` inches wide, and restore the former ones at the end.

    Args:
        width: of every figure, at its real size.
        own: a style of the reader, applied last: see `check_style`.
    """
    with report_style():
        cast(Any, mpl.rcParams).update(_PAPER)
        if own is not None:
            cast(Any, mpl.rcParams).update(check_style(own))
        cast(Any, mpl.rcParams).update(_ALWAYS)
        text_width.cache_clear()
        token = _paper_width.set(width)
        try:
            yield
        finally:
            _paper_width.reset(token)


def check_style(own: str) -> dict[str, Any]:
    """Return the parameters of a style sheet: a file, the name of one of matplotlib's, or `OWN_STYLE`.

    Raises:
        InputError: there is no such file or name, or it is no style sheet.
    """
    if own in library:
        return dict(cast(Any, library[own]))
    path = Path(mpl.matplotlib_fname()) if own == OWN_STYLE else Path(own)
    if not path.is_file():
        raise InputError(f"--style {own}: not a file, nor a style of matplotlib; {nearest(own, [*library, OWN_STYLE])}")
    try:
        found = mpl.rc_params_from_file(path, use_default_template=False)
    except (OSError, ValueError) as error:
        raise InputError(f"--style {path}: not a style sheet of matplotlib: {' '.join(str(error).split())}") from None
    if not found and own != OWN_STYLE:
        raise InputError(f"--style {path}: has no parameter of matplotlib; expected lines such as font.size: 9")
    # The backend is that of the files, whatever the reader's screen needs.
    return {key: value for key, value in found.items() if not key.startswith("backend")}


def paper_width() -> float | None:
    """Return the width in inches that every figure must have, inside `paper_style`; None on the page."""
    return _paper_width.get()


def points(on_page: float) -> float:
    """Return the size of a text: ``on_page`` on the report's page, the one size of a paper's figures."""
    return on_page if paper_width() is None else float(mpl.rcParams["font.size"])


@lru_cache(maxsize=4096)
def text_width(text: str, size: float = 8.0, *, bold: bool = False) -> float:
    """Return the width in inches of the longest line of a text of ``size`` points, in the font of the style."""
    if "\n" in text:
        return max(text_width(line, size, bold=bold) for line in text.split("\n"))
    font = FontProperties(size=size, weight="bold" if bold else None)
    if mpl.rcParams["text.usetex"]:
        return float(TextPath((0, 0), text, prop=font, usetex=True).get_extents().width) / 72
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]) / 72
