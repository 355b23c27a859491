"""How well each method does as the dimension grows: its gradient's direction, and the distance it estimates."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from lipschitz.report.pairs import Family
from lipschitz.report.plots.labels import LINE, label_ends, label_room
from lipschitz.report.plots.panels import horizontal, panels, scale
from lipschitz.report.published.work import TRUE, published
from lipschitz.report.style import Style, styles
from lipschitz.report.tasks import told
from lipschitz.report.titles import heading

_Dash = str | tuple[int, tuple[float, ...]]
_DASHES: tuple[_Dash, ...] = ("-", (0, (4, 2)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))
"""By model: colour and marker are the constraint's."""
_DASHES_SAID = ("solid", "dashed", "dotted", "dash-dotted")


@dataclass(frozen=True)
class _Series:
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


def cosine_by_dimension(family: Family) -> Figure | None:
    """Return the cosine to the optimal gradient against the dimension, one panel a number of funnels."""
    rows, theirs = family.values("cosine"), family.published_values("cosine")

    def draw(panel: Axes, series: list[_Series]) -> None:
        scale(panel, [*rows["mean"], *theirs["published"], 1.0], linear=True)
        horizontal(panel, 1.0, told("transport").floor)
        for one in series:
            mean, error = one.rows["mean"], one.rows["ci95"].fillna(0)
            panel.vlines(
                one.places(one.rows), mean - error, mean + error, color=one.style.colour, linewidth=1, alpha=0.7
            )
            one.mark(panel, "mean")

    interval = ", 95 % interval" if rows["ci95"].notna().any() else ""
    said = f"After the last step: {_mean(rows)}{interval}.{_hollow(theirs)}{_dashed(family)}"
    return _figure(family, rows, theirs, ("Cosine to the optimal gradient", said, heading("cosine")), 0.2, draw)


def w1_by_dimension(family: Family) -> Figure | None:
    """Return each critic's W1 over the true one against the dimension, with what its bounds on Lip(D) leave of it."""
    rows, theirs = _ratios(family), _published_ratios(family)

    def draw(panel: Axes, series: list[_Series]) -> None:
        shown = [*rows["mean"], *rows["low"], *rows["high"], *theirs["published"], 1.0]
        scale(panel, [value for value in shown if value > 0])
        bottom, top = panel.get_ylim()
        horizontal(panel, 1.0, "true W1")
        for one in series:
            low, high = (one.rows[name].clip(bottom, top) for name in ("low", "high"))
            panel.vlines(one.places(one.rows), low, high, color=one.style.colour, linewidth=2.5, alpha=0.35)
            one.mark(panel, "mean")

    said = (
        f"Mean of D over P less that over Q, after the last step; {_mean(rows)}.{_hollow(theirs)}\n"
        "Bar: the same of D divided by its Lipschitz constant, from what is certified to what was found."
        f"{_dashed(family)}"
    )
    return _figure(family, rows, theirs, ("W1 by the critic", said, "W1 by the critic / true W1"), 0.5, draw)


def _figure(
    family: Family,
    rows: pd.DataFrame,
    theirs: pd.DataFrame,
    texts: tuple[str, str, str],
    octaves: float,
    draw: Callable[[Axes, list[_Series]], None],
) -> Figure | None:
    """Return a figure with one panel a number of funnels; None where there is no second dimension.

    Args:
        family: what is drawn.
        rows: the measured cells.
        theirs: the published cells.
        texts: what is drawn, how it is to be read, and the label of the y axis.
        octaves: over how much of the axis the methods of one dimension stand side by side.
        draw: draws the series into a panel.
    """
    dims, widths = sorted(rows["dim"].unique()), sorted(rows["width"].unique())
    if len(dims) < 2:
        return None
    what, said, y_label = texts
    looks, names = styles(family.sweep.runs["constraint"]), family.series_names
    models = list(dict.fromkeys(model for _, model in family.series))
    size = (3.6, max(2.6, LINE * len(names)))
    title = f"{what} by dimension  ·  {family.title}"
    figure, axes = panels(len(widths), 2, title, said, size=size, above=0.2, right=label_room(list(names.values())))
    shifts = np.linspace(-octaves / 2, octaves / 2, len(names)) if len(names) > 1 else [0.0]
    for index, (width, panel) in enumerate(zip(widths, axes, strict=True)):
        series = [
            _Series(
                _of(rows, width, constraint, model),
                _of(theirs, width, constraint, model),
                looks[constraint],
                _DASHES[models.index(model) % len(_DASHES)],
                float(shift),
            )
            for (constraint, model), shift in zip(names, shifts, strict=True)
        ]
        _dimensions(panel, dims)
        draw(panel, series)
        panel.set_title(f"{width} funnels" if width else "")
        panel.set_xlabel("Dimension")
        panel.set_ylabel(y_label)
        if index == min(len(widths), 2) - 1:
            ends = [float(one.rows["mean"].iloc[-1]) if len(one.rows) else None for one in series]
            label_ends(
                figure,
                panel,
                [(name, one.style, end) for name, one, end in zip(names.values(), series, ends, strict=True)],
            )
    return figure


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


def _ratios(family: Family) -> pd.DataFrame:
    """Return the W1 of the critics as ``mean``, and over either bound as ``low`` and ``high``, over the true one."""
    rows = family.values("w1_dual")
    rows = rows[rows["dataset"].isin(family.true_w1)]
    true = rows["dataset"].map(lambda name: family.true_w1[name][0])
    return rows.assign(
        mean=rows["mean"] / true,
        low=family.values("w1_over_upper")["mean"] / true,
        high=family.values("w1_over_lower")["mean"] / true,
    )


def _published_ratios(family: Family) -> pd.DataFrame:
    """Return the published W1 of the critics over the published true one."""
    rows, values = family.published_values("w1_dual"), published().values
    true = values[(values["method"] == TRUE) & (values["metric"] == "w1_dual")].set_index(["dim", "width"])["value"]
    rows = rows.join(true.rename("true"), on=["dim", "width"])
    return rows.assign(published=rows["published"] / rows["true"])


def _mean(rows: pd.DataFrame) -> str:
    few, many = (int(rows["n"].min()), int(rows["n"].max())) if len(rows) else (0, 0)
    return "one seed" if many == 1 else f"mean over {many if few == many else f'{few} to {many}'} seeds"


def _hollow(theirs: pd.DataFrame) -> str:
    return " Hollow: published, one seed." if len(theirs) else ""


def _dashed(family: Family) -> str:
    models = list(dict.fromkeys(model for _, model in family.series))
    said = (f"{look}: {family.sweep.shown(model)}" for look, model in zip(_DASHES_SAID, models, strict=False))
    return f"\n{'; '.join(said).capitalize()}." if len(models) > 1 else ""
