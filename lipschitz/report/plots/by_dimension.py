"""Plot critics by dimension, one panel for each number of funnels: cosine to the optimal gradient, W1 / true W1."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from lipschitz.report.plots.base import Subject, plot
from lipschitz.report.plots.data import SweepData
from lipschitz.report.plots.facets import Cell, Facet, facet_grid, facets, facets_note
from lipschitz.report.plots.lines import LABEL_HEIGHT, label_lines, label_margin, label_y_axis
from lipschitz.report.plots.panels import columns_of, fit_y_axis, panels, reference_line
from lipschitz.report.published.critics import CriticFamily
from lipschitz.report.published.work import TRUE, read_published_work
from lipschitz.report.reading.comparisons import slug
from lipschitz.report.reading.metric_names import heading
from lipschitz.report.statistics.intervals import MEAN
from lipschitz.report.statistics.summary import AS_PUBLISHED
from lipschitz.report.style import GREY, Style, styles
from lipschitz.tasks.wording import wording

_Dash = str | tuple[int, tuple[float, ...]]
_DASHES: tuple[_Dash, ...] = ("-", (0, (4, 2)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))
"""Line style by model; colour and marker are the constraint's."""
_TABLE = ["dim", "width", "constraint", "model", "n", "mean", "low", "high"]
_DASH_NAMES = ("solid", "dashed", "dotted", "dash-dotted")


@dataclass(frozen=True, eq=False)
class Series:
    """One method in one panel.

    Attributes:
        rows: measured values by dimension.
        theirs: published values by dimension.
        octaves: offset on the axis of dimensions, so that methods do not hide each other.
    """

    rows: pd.DataFrame
    theirs: pd.DataFrame
    style: Style
    dash: _Dash
    octaves: float

    def x(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Return the places of ``rows`` on the axis of dimensions."""
        places: NDArray[np.float64] = rows["dim"].to_numpy(float) * 2.0**self.octaves
        return places

    def mark(self, panel: Axes, column: str) -> None:
        """Mark the measured values of ``column``, joined in order of dimension, and the published ones, hollow."""
        colour, marker = self.style
        x = self.x(self.rows)
        panel.plot(x, self.rows[column], color=colour, marker=marker, linestyle=self.dash, linewidth=1.0, markersize=5)
        panel.plot(
            self.x(self.theirs),
            self.theirs["published"],
            color=colour,
            marker=marker,
            linestyle="",
            markersize=7.5,
            markerfacecolor="none",
        )

    def mark_grey(self, panel: Axes, column: str) -> None:
        """Mark the measured values of ``column`` in grey, without a line."""
        x, marker = self.x(self.rows), self.style.marker
        panel.plot(x, self.rows[column], color=GREY, marker=marker, linestyle="", markersize=4, alpha=0.6)

    @property
    def last(self) -> float | None:
        """The last value of ``mean``; None where there is none."""
        known = self.rows["mean"].dropna()
        return float(known.iloc[-1]) if len(known) else None


def each_family(sweep: SweepData) -> Iterator[Subject[CriticFamily]]:
    """Yield every family of critics on pairs that differ only in dimension and width."""
    for family in sweep.families:
        yield Subject(family, f"{slug(family.kind)}{family.suffix}", family.title)


def cosine_table(family: CriticFamily) -> pd.DataFrame:
    """Return the cosines: dim, width, constraint, model, n, mean, low, high."""
    return family.values("cosine")[_TABLE]


def cosine_as_published_table(family: CriticFamily) -> pd.DataFrame:
    """Return the cosines as the published code measures them, and the published ones."""
    theirs = family.published_values("cosine")["published"]
    return family.values(AS_PUBLISHED["cosine"])[_TABLE].join(theirs)


def w1_table(family: CriticFamily) -> pd.DataFrame:
    """Return W1 by each critic over the true one: raw, over the upper bound (mean) and over the lower bound."""
    return _ratios(family)[[*_TABLE[:-3], "mean", "raw", "over_lower"]]


@plot("Cosine to the optimal gradient by dimension", order=20, scope=each_family, table=cosine_table)
def cosine_by_dimension(family: CriticFamily) -> Figure | None:
    """Return the cosine to the optimal gradient against the dimension, one panel a number of funnels."""
    return _cosines(family, "cosine", family.published_values("cosine").iloc[:0], "Cosine to the optimal gradient")


@plot(
    "Cosine by dimension, measured as the published one", order=30, scope=each_family, table=cosine_as_published_table
)
def cosine_as_published(family: CriticFamily) -> Figure | None:
    """Return the cosine as the published code measures it, and the published cosine; None where either is missing."""
    metric, theirs = AS_PUBLISHED["cosine"], family.published_values("cosine")
    if theirs.empty or family.values(metric).empty:
        return None
    note = "\nHollow: published, one seed. The optimal gradient is that of float32 distances, zero near a centre."
    return _cosines(family, metric, theirs, "Cosine, measured as the published one,", note)


def _cosines(family: CriticFamily, metric: str, theirs: pd.DataFrame, shown: str, note: str = "") -> Figure | None:
    rows = family.values(metric)
    optimal = rows.drop_duplicates(["dim", "width"]).sort_values("dim")
    optimal = optimal.assign(floor=[family.floor_of(dataset, metric) for dataset in optimal["dataset"]])

    def draw(panel: Axes, series: list[Series], width: int) -> None:
        floor = optimal[optimal["width"] == width]
        fit_y_axis(panel, [*rows["mean"], *theirs["published"], *optimal["floor"], 1.0], linear=True)
        panel.plot(floor["dim"], floor["floor"], color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        for one in series:
            panel.vlines(
                one.x(one.rows), one.rows["low"], one.rows["high"], color=one.style.colour, linewidth=1, alpha=0.7
            )
            one.mark(panel, "mean")

    interval = f", {MEAN.short}" if rows["ci95"].notna().any() else ""
    line = f" Grey line: the {wording('transport').floor} itself."
    subtitle = f"After the last step: {_seeds_note(rows)}{interval}.{line}{note}{_dashes_note(family)}"
    return _over_dimensions(family, rows, theirs, (shown, subtitle, heading(metric)), 0.2, draw)


@plot(
    "W1 that the critic certifies and claims over the true W1, by dimension",
    order=40,
    scope=each_family,
    table=w1_table,
)
def w1_by_dimension(family: CriticFamily) -> Figure | None:
    """Return W1 by each critic over the true W1 against the dimension: over its certified bound, and undivided."""
    rows, theirs = _ratios(family), _published_ratios(family)

    def draw(panel: Axes, series: list[Series], _: int) -> None:
        shown = [*rows["mean"], *rows["raw"], *rows["over_lower"], *theirs["published"], 1.0]
        fit_y_axis(panel, [value for value in shown if value > 0])
        bottom, top = panel.get_ylim()
        reference_line(panel, 1.0, "true W1")
        for one in series:
            low, high = (one.rows[name].clip(bottom, top) for name in ("mean", "over_lower"))
            panel.vlines(one.x(one.rows), low, high, color=one.style.colour, linewidth=2.5, alpha=0.35)
            one.mark_grey(panel, "raw")
            one.mark(panel, "mean")

    hollow = " Hollow: published, undivided, one seed." if len(theirs) else ""
    subtitle = (
        f"Mean of D over P minus that over Q, after the last step; {_seeds_note(rows)}. Filled: divided by the "
        "certified upper bound of Lip(D), above W1 only by\nsampling noise. Bar: divided by any value from that bound "
        f"down to the steepest slope found. Grey: undivided, which certifies nothing.{hollow}{_dashes_note(family)}"
    )
    texts = ("W1 by the critic", subtitle, "W1 by the critic / true W1")
    return _over_dimensions(family, rows, theirs, texts, 0.5, draw)


def _ratios(family: CriticFamily) -> pd.DataFrame:
    """Return W1 by the critics over the true W1.

    Columns: ``raw``, ``mean`` (divided by the upper bound of Lip(D); NaN where there is none) and ``over_lower``
    (divided by the lower bound).
    """
    rows = family.values("w1_dual")
    rows = rows[rows["dataset"].isin(family.true_w1)]
    true = rows["dataset"].map(lambda name: family.true_w1[name][0])
    return rows.assign(
        raw=rows["mean"] / true,
        mean=family.values("w1_over_upper")["mean"] / true,
        over_lower=family.values("w1_over_lower")["mean"] / true,
    )


def _published_ratios(family: CriticFamily) -> pd.DataFrame:
    """Return the published W1 of the critics over the published true one."""
    rows, values = family.published_values("w1_dual"), read_published_work().values
    true = values[(values["method"] == TRUE) & (values["metric"] == "w1_dual")].set_index(["dim", "width"])["value"]
    rows = rows.join(true.rename("true"), on=["dim", "width"])
    return rows.assign(published=rows["published"] / rows["true"])


def _over_dimensions(
    family: CriticFamily,
    rows: pd.DataFrame,
    theirs: pd.DataFrame,
    texts: tuple[str, str, str],
    octaves: float,
    draw: Callable[[Axes, list[Series], int], None],
) -> Figure | None:
    """Return a figure with one panel a number of funnels; None where there is no second dimension.

    Args:
        family: the critics and their pairs of distributions.
        rows: the measured cells; a label stands at the last ``mean`` of its series.
        theirs: the published cells.
        texts: what is drawn, the subtitle, and the label of the y axis.
        octaves: width, on the axis, over which the methods of one dimension are placed side by side.
        draw: draws the series into the panel of a number of funnels.
    """
    dims, widths = sorted(rows["dim"].unique()), sorted(rows["width"].unique())
    if len(dims) < 2:
        return None
    names = family.series_names
    constraints = {name: constraint for (constraint, _), name in names.items()}
    found = facets(list(names.values()), constraints)
    figure, cells = _grid(found, widths, texts, family, list(names.values()))
    for facet, key, panel, y_label, is_lowest, is_labelled in cells:
        series = _series(family, rows, theirs, int(key), octaves)
        own = [one for name, one in series.items() if name in facet.names or name == "none"]
        _set_dimensions(panel, dims)
        draw(panel, own, int(key))
        for one in series.values():
            if one not in own:
                panel.plot(one.x(one.rows), one.rows["mean"], color="#d8d8d8", linewidth=0.7, zorder=0.5)
        panel.set_xlabel("Dimension" if is_lowest else "")
        label_y_axis(panel, y_label)
        panel.tick_params(axis="x", labelbottom=is_lowest)
        if is_labelled:
            entries = [(name, series[name].style, series[name].last) for name in facet.names]
            label_lines(figure, panel, entries, at_ends=len(found) > 1)
    return figure


def _grid(
    found: list[Facet], widths: list[int], texts: tuple[str, str, str], family: CriticFamily, names: list[str]
) -> tuple[Figure, list[Cell]]:
    """Return the figure with one panel a number of funnels, and one row a family of many methods."""
    shown, subtitle, y_label = texts
    title = f"{shown} by dimension  ·  {family.title}"
    headings = {str(width): f"{width} funnels" if width else "" for width in widths}
    if len(found) > 1:
        one_width = dict.fromkeys(headings, y_label) if len(headings) == 1 else headings
        subtitle += facets_note(found, names, list(headings))
        return facet_grid(found, one_width, {name: name for name in names}, title, subtitle, margin=0.9)
    size = (3.6, max(2.6, LABEL_HEIGHT * len(names)))
    figure, axes = panels(len(widths), 2, title, subtitle, size=size, above=0.2, right=label_margin(names))
    for panel, heading_of_width in zip(axes, headings.values(), strict=True):
        panel.set_title(heading_of_width)
    last = columns_of(axes) - 1
    return figure, [
        Cell(found[0], key, panel, y_label, True, index == last)
        for index, (key, panel) in enumerate(zip(headings, axes, strict=True))
    ]


def _series(
    family: CriticFamily, rows: pd.DataFrame, theirs: pd.DataFrame, width: int, octaves: float
) -> dict[str, Series]:
    """Return the methods of one panel by name, side by side on the axis of dimensions."""
    style_of, names = styles(family.results.runs["constraint"]), family.series_names
    models = list(dict.fromkeys(model for _, model in family.series))
    shifts = np.linspace(-octaves / 2, octaves / 2, len(names)) if len(names) > 1 else [0.0]
    return {
        name: Series(
            _of(rows, width, constraint, model),
            _of(theirs, width, constraint, model),
            style_of[constraint],
            _DASHES[models.index(model) % len(_DASHES)],
            float(shift),
        )
        for ((constraint, model), name), shift in zip(names.items(), shifts, strict=True)
    }


def _seeds_note(rows: pd.DataFrame) -> str:
    """Return the number of seeds behind the means."""
    few, many = (int(rows["n"].min()), int(rows["n"].max())) if len(rows) else (0, 0)
    return "one seed" if many == 1 else f"mean over {many if few == many else f'{few} to {many}'} seeds"


def _dashes_note(family: CriticFamily) -> str:
    """Return a line that names the model of each line style; empty where there is one model."""
    models = list(dict.fromkeys(model for _, model in family.series))
    named = (f"{dash}: {family.results.shown(model)}" for dash, model in zip(_DASH_NAMES, models, strict=False))
    return f"\n{'; '.join(named).capitalize()}." if len(models) > 1 else ""


def _of(rows: pd.DataFrame, width: int, constraint: str, model: str) -> pd.DataFrame:
    chosen = (rows["width"] == width) & (rows["constraint"] == constraint) & (rows["model"] == model)
    return rows[chosen].sort_values("dim")


def _set_dimensions(panel: Axes, dims: list[int]) -> None:
    panel.set_xscale("log", base=2)
    panel.set_xlim(dims[0] / 2**0.5, dims[-1] * 2**0.5)
    panel.xaxis.set_major_locator(FixedLocator(dims))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    panel.set_axisbelow(True)
