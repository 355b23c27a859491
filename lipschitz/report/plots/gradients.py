"""Plot input-gradient norms of the discriminator by where they were measured: real, generated, between, noise."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lipschitz.report.plots.base import plot
from lipschitz.report.plots.data import ComparisonData
from lipschitz.report.plots.lines import figure_title
from lipschitz.report.plots.panels import Ticks, columns_of, fit_axis, panels
from lipschitz.report.plots.rows import Rows
from lipschitz.report.reading.metric_names import parse_metric
from lipschitz.report.statistics.intervals import GEOMETRIC
from lipschitz.report.style import GREY
from lipschitz.tasks.wording import wording

WHERE = ("real", "interpolated", "fake", "old", "noise")
"""Places from left to right; a gradient penalty never samples the last two."""
_MEAN, _LARGEST = "gradient_norm", "gradient_norm_max"
_ROW = 0.19
_GRID = "#ececec"
_FEW_TICKS = Ticks(((100, (1.0,)),), 4, None)


def gradients_table(data: ComparisonData) -> pd.DataFrame:
    """Return the mean and the largest norm after the last step: constraint, place, kind, n, mean, low, high."""
    names = [parse_metric(name) for name in data.final["metric"]]
    final = data.final.assign(kind=[name.base for name in names], place=[name.place for name in names])
    columns = ["constraint", "place", "kind", "n", "mean", "low", "high"]
    return final.loc[final["kind"].isin([_MEAN, _LARGEST]), columns]


@plot("Input-gradient norms by place", order=80, table=gradients_table)
def gradients(data: ComparisonData) -> Figure | None:
    """Return the input-gradient norms after the last step: a row a constraint, a panel for each place."""
    final = gradients_table(data)
    if not (final["kind"] == _MEAN).any():
        return None
    task, found = wording(data.comparison.task), set(final["place"])
    places = [place for place in WHERE if place in found] + sorted(found - set(WHERE))
    names = [name for name in data.constraints if (final["constraint"] == name).any()]
    rows = Rows.of([data.labels[name] for name in names], _ROW)
    figure, axes = panels(
        len(places),
        5,
        figure_title("Input-gradient norm of D, by place", data),
        _subtitle(data, final),
        size=(1.55, rows.tall()),
        gap=(0.12, 0.75),
        left=rows.margin,
        above=0.2,
        height="rows",
    )
    for index, (place, panel) in enumerate(zip(places, axes, strict=True)):
        # One axis for all places, so that they are compared by looking.
        fit_axis(panel, "x", final["mean"], margins=(0.06, 0.06), ticks=_FEW_TICKS)
        panel.axvline(1.0, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        means, largest = (_values(final, place, kind, names) for kind in (_MEAN, _LARGEST))
        _draw(panel, rows.places, means, largest["mean"].to_numpy(), [data.styles[name].colour for name in names])
        rows.label(panel, shown=index % columns_of(axes) == 0)
        panel.set_title(task.places.get(place, place) or "norm")
        panel.grid(axis="x", color=_GRID, linewidth=0.6)
        panel.hlines(rows.places, *panel.get_xlim(), color=_GRID, linewidth=0.6, zorder=0.5)
        panel.set_axisbelow(True)
        panel.set_xlabel("Norm")
    return figure


def _subtitle(data: ComparisonData, final: pd.DataFrame) -> str:
    task, found = wording(data.comparison.task), set(final["place"])
    interval = "" if data.has_one_seed else f", with its {GEOMETRIC.short}"
    text = f"After the last step, {data.mean_over_seeds('geometric mean')}. Filled: mean norm{interval}."
    text += " Open: largest norm." if (final["kind"] == _LARGEST).any() else ""
    text += "\nOld: between real and an earlier generator's samples." if "old" in found else ""
    if "interpolated" in found:
        text += f"\nA gradient penalty asks for norm 1 only between {task.real} and {task.fake} samples."
    return text


def _values(final: pd.DataFrame, place: str, kind: str, names: Sequence[str]) -> pd.DataFrame:
    """Return mean, low and high, a row for each of ``names``; NaN where there is none."""
    rows = final[(final["place"] == place) & (final["kind"] == kind)].set_index("constraint")
    return rows[["mean", "low", "high"]].astype(float).reindex(pd.Index(names))


def _draw(
    panel: Axes, rows: NDArray[np.float64], means: pd.DataFrame, largest: NDArray[np.float64], colours: Sequence[str]
) -> None:
    """Draw all methods, each kind of mark as one collection: an axes with a few artists is drawn much faster."""
    mean, low, high = (means[name].to_numpy() for name in ("mean", "low", "high"))
    panel.hlines(rows, mean, largest, colors=colours, linewidth=0.6, alpha=0.4)
    panel.hlines(rows, np.maximum(low, panel.get_xlim()[0]), high, colors=colours, linewidth=2.0, alpha=0.4)
    panel.scatter(largest, rows, s=4.0**2, facecolors="white", edgecolors=colours, linewidths=1.0, zorder=2)
    panel.scatter(mean, rows, s=4.5**2, c=colours, linewidths=1.0, zorder=2)
