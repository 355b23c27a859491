"""Write the figures of a sweep for a paper: vector PDFs as wide as one or two columns, and their captions as LaTeX."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lipschitz.files import write_bytes, write_text
from lipschitz.report.plots.base import Plot
from lipschitz.report.plots.data import SweepData
from lipschitz.report.plots.gallery import Picture, gallery
from lipschitz.report.plots.look import paper_style
from lipschitz.report.tables.latex_text import tex

FOLDER = "paper"
TABLE = "table.tex"
WIDTHS = {"column": 3.25, "page": 6.75}
"""Inches of a figure, by the end of its file's name: one column, or both columns with the gap between them."""
_HEAD = r"""% Load graphicx, \input this file or copy from it, and add its folder to \graphicspath.
% The PDFs have their real size: do not scale them.
"""


def write_paper(
    folder: Path, data: SweepData, plots: Sequence[Plot[Any]], limit: int | None, style: str | None
) -> list[Path]:
    """Write ``paper/NAME_column.pdf``, ``paper/NAME_page.pdf`` and ``paper/figures.tex`` into the folder of a sweep.

    Fonts are embedded as TrueType (Type 42), texts have eight points, there is no title, and the same runs give the
    same bytes. A figure that does not fit a column, such as one with a panel for each family of methods, has the wide
    file only.

    Args:
        folder: of the sweep.
        data: of the sweep.
        plots: whose figures are written, in the order of the report.
        limit: about how many panels to draw; None for all.
        style: the reader's own style of matplotlib, see `check_style`; None for that of the report.

    Returns:
        The files that were written.
    """
    target = folder / FOLDER
    target.mkdir(exist_ok=True)
    by_name: dict[str, dict[str, Picture]] = {}
    for end, width in WIDTHS.items():
        own = partial(paper_style, width, style)
        for picture in gallery(data, plots, limit, [], kinds=("pdf",), style=own):
            by_name.setdefault(picture.name, {})[end] = picture
    written = [target / "figures.tex"]
    for name, found in by_name.items():
        for end, picture in found.items():
            written.append(target / f"{name}_{end}.pdf")
            write_bytes(written[-1], picture.files["pdf"])
    write_text(written[0], _HEAD + "\n".join(_figure(name, found) for name, found in by_name.items()))
    return written


def _figure(name: str, found: dict[str, Picture]) -> str:
    """Return a figure with its caption, one column wide if it fits; the other file is in a comment."""
    end = next(iter(found))
    environment = "figure" if end == "column" else "figure*"
    title, _, rest = found[end].text.partition("\n")
    other = [rf"  % For both columns: figure*, {_include(name, wide)}" for wide in found if wide != end]
    lines = [
        rf"\begin{{{environment}}}[t]",
        r"  \centering",
        f"  {_include(name, end)}",
        *other,
        rf"  \caption{{{tex(title)}. {tex(rest)}}}",
        rf"  \label{{fig:{name}}}",
        rf"\end{{{environment}}}",
    ]
    return "\n".join(lines) + "\n"


def _include(name: str, end: str) -> str:
    # In braces a dot is no beginning of an ending.
    return rf"\includegraphics{{{{{name}_{end}}}.pdf}}"
