"""Panels over the dimension, one a number of funnels: a marker a method, what was published hollow."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from lipschitz.report.plots.labels import LINE, label_ends, label_room
from lipschitz.report.plots.panels import panels
from lipschitz.report.published.critics import Family
from lipschitz.report.style import GREY, Style, styles

_Dash = str | tuple[int, tuple[float, ...]]
_DASHES: tuple[_Dash, ...] = ("-", (0, (4, 2)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))
"""By model: colour and marker are the constraint's."""
_DASHES_SAID = ("solid", "dashed", "dotted", "dash-dotted")


@dataclass(frozen=True)
class Series:
    """One method in one panel: its measured and its published rows by dimension, and how it looks."""

    rows: pd.DataFrame
    theirs: pd.DataFrame
    style: Style
    dash: _Dash
    octaves: float
    """By how much it is moved aside, so that methods do not hide each other."""

    def places(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Return where ``rows`` stand on the axis of dimensions."""
        places: NDArray[np.float64] = rows["dim"].to_numpy(float) * 2.0**self.octaves
        return places

    def mark(self, panel: Axes, column: str) -> None:
        """Mark the measured values of ``column``, joined in order of dimension, and the published ones, hollow."""
        colour, marker = self.style
        x = self.places(self.rows)
        panel.plot(x, self.rows[column], color=colour, marker=marker, linestyle=self.dash, linewidth=1.0, markersize=5)
        panel.plot(
            self.places(self.theirs),
            self.theirs["published"],
            color=colour,
            marker=marker,
            linestyle="",
            markersize=7.5,
            markerfacecolor="none",
        )

    def mark_grey(self, panel: Axes, column: str) -> None:
        """Mark the measured values of ``column`` in grey, unjoined: they are there to be compared with."""
        x, marker = self.places(self.rows), self.style.marker
        panel.plot(x, self.rows[column], color=GREY, marker=marker, linestyle="", markersize=4, alpha=0.6)

    @property
    def end(self) -> float | None:
        """Where the series ends: its last value of ``mean``, None where it has none."""
        known = self.rows["mean"].dropna()
        return float(known.iloc[-1]) if len(known) else None


def over_dimensions(
    family: Family,
    rows: pd.DataFrame,
    theirs: pd.DataFrame,
    texts: tuple[str, str, str],
    octaves: float,
    draw: Callable[[Axes, list[Series], int], None],
) -> Figure | None:
    """Return a figure with one panel a number of funnels; None where there is no second dimension.

    Args:
        family: what is drawn.
        rows: the measured cells; ``mean`` says where labels stand.
        theirs: the published cells.
        texts: what is drawn, how it is to be read, and the label of the y axis.
        octaves: over how much of the axis the methods of one dimension stand side by side.
        draw: draws the series into the panel of a number of funnels.
    """
    dims, widths = sorted(rows["dim"].unique()), sorted(rows["width"].unique())
    if len(dims) < 2:
        return None
    what, said, y_label = texts
    looks, names = styles(family.results.runs["constraint"]), family.series_names
    models = list(dict.fromkeys(model for _, model in family.series))
    size = (3.6, max(2.6, LINE * len(names)))
    title = f"{what} by dimension  ·  {family.title}"
    figure, axes = panels(len(widths), 2, title, said, size=size, above=0.2, right=label_room(list(names.values())))
    shifts = np.linspace(-octaves / 2, octaves / 2, len(names)) if len(names) > 1 else [0.0]
    for index, (width, panel) in enumerate(zip(widths, axes, strict=True)):
        series = [
            Series(
                _of(rows, width, constraint, model),
                _of(theirs, width, constraint, model),
                looks[constraint],
                _DASHES[models.index(model) % len(_DASHES)],
                float(shift),
            )
            for (constraint, model), shift in zip(names, shifts, strict=True)
        ]
        _dimensions(panel, dims)
        draw(panel, series, int(width))
        panel.set_title(f"{width} funnels" if width else "")
        panel.set_xlabel("Dimension")
        panel.set_ylabel(y_label)
        if index == min(len(widths), 2) - 1:
            entries = [(name, one.style, one.end) for name, one in zip(names.values(), series, strict=True)]
            label_ends(figure, panel, entries)
    return figure


def seeds_said(rows: pd.DataFrame) -> str:
    """Return over how many seeds the means are."""
    few, many = (int(rows["n"].min()), int(rows["n"].max())) if len(rows) else (0, 0)
    return "one seed" if many == 1 else f"mean over {many if few == many else f'{few} to {many}'} seeds"


def dashes_said(family: Family) -> str:
    """Return a line that says which model each kind of line is, empty where there is one model."""
    models = list(dict.fromkeys(model for _, model in family.series))
    said = (f"{look}: {family.results.shown(model)}" for look, model in zip(_DASHES_SAID, models, strict=False))
    return f"\n{'; '.join(said).capitalize()}." if len(models) > 1 else ""


def _of(rows: pd.DataFrame, width: int, constraint: str, model: str) -> pd.DataFrame:
    chosen = (rows["width"] == width) & (rows["constraint"] == constraint) & (rows["model"] == model)
    return rows[chosen].sort_values("dim")


def _dimensions(panel: Axes, dims: list[int]) -> None:
    panel.set_xscale("log", base=2)
    panel.set_xlim(dims[0] / 2**0.5, dims[-1] * 2**0.5)
    panel.xaxis.set_major_locator(FixedLocator(dims))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    panel.set_axisbelow(True)
