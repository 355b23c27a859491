"""Rows of a figure, one for each method: their labels in lines that fit, their heights, and the margin on the left."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lipschitz.report.plots.look import paper_width, points, text_width
from lipschitz.report.style import GREY

LINE = 0.133
"""Inches of a line of text."""
_LABEL_SHARE = 0.36
"""Default of the largest share of a paper's figure for the labels of rows; a longer label is broken into lines."""
_PAPER_ROW = 0.005 + LINE
_BREAK = re.compile(r"[^ _(+=,]+[ _(+=,]*")


@dataclass(frozen=True)
class Rows:
    """The rows of a panel from top to bottom; all are alike on the page, higher for labels of several lines in a paper.

    Attributes:
        labels: as they are written, in lines.
        heights: of each row, in units of a row with one line.
        unit: inches of such a row.
        titles: places of the labels that are titles of the rows below them: bold and grey.
    """

    labels: list[str]
    heights: list[float]
    unit: float
    titles: frozenset[int] = frozenset()

    @classmethod
    def of(
        cls, labels: Sequence[str], on_page: float, share: float = _LABEL_SHARE, titles: Collection[int] = ()
    ) -> "Rows":
        """Return the rows with these labels, ``on_page`` inches high, or with ``share`` of a paper's width for them."""
        bold = frozenset(titles)
        width = paper_width()
        if width is None:
            return cls(list(labels), [1.0] * len(labels), on_page, bold)
        written = [broken(label, share * width, bold=place in bold) for place, label in enumerate(labels)]
        return cls(written, [1 + LINE * text.count("\n") / _PAPER_ROW for text in written], _PAPER_ROW, bold)

    @property
    def places(self) -> NDArray[np.float64]:
        """The middle of each row in units from the middle of the first, if that has one line."""
        ends = np.cumsum(self.heights)
        places: NDArray[np.float64] = ends - np.array(self.heights) / 2 - 0.5
        return places

    @property
    def edges(self) -> NDArray[np.float64]:
        """The upper end of the first row and the lower end of each row."""
        edges: NDArray[np.float64] = np.concatenate([[0.0], np.cumsum(self.heights)]) - 0.5
        return edges

    @property
    def margin(self) -> float:
        """Inches that the labels need on the left."""
        widths = (text_width(text, points(8), bold=place in self.titles) for place, text in enumerate(self.labels))
        return 0.22 + max(widths, default=0)

    def tall(self, foot: float = 0.0) -> float:
        """Return the inches of all rows and a ``foot`` below them, in units."""
        return self.unit * (sum(self.heights) + foot)

    def label(self, axes: Axes, *, shown: bool = True, foot: float = 0.0) -> None:
        """Set the limits of the y axis and write the labels, which have no ticks; without labels there is no grid."""
        axes.set_ylim(sum(self.heights) - 0.5 + foot, -0.5)
        if not shown:
            axes.set_yticks([])
            return
        axes.set_yticks(self.places, self.labels)
        axes.tick_params(axis="y", length=0, labelsize=points(8))
        written = axes.get_yticklabels()
        for place in self.titles:
            written[place].set(color=GREY, fontweight="bold")


def in_width(panel: Axes, text: str) -> str:
    """Return a title or a label of the x axis, in lines of the panel's width in a paper's figure."""
    if paper_width() is None:
        return text
    return broken(text, panel.get_position().width * cast(Figure, panel.get_figure()).get_figwidth())


def broken(text: str, widest: float, *, bold: bool = False) -> str:
    """Return a label in lines of at most ``widest`` inches, broken after spaces, underscores, brackets and signs."""
    lines = [""]
    for part in _BREAK.findall(text) or [text]:
        if lines[-1] and text_width((lines[-1] + part).rstrip(), points(8), bold=bold) > widest:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip(" ") for line in lines)
