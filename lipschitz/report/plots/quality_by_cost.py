"""Plot the final quality of each constraint against the seconds of its training, with the Pareto front."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lipschitz.metrics.catalogue import CATALOGUE
from lipschitz.report.number_format import show
from lipschitz.report.plots.base import plot
from lipschitz.report.plots.data import ComparisonData
from lipschitz.report.plots.facets import facet_grid, facets, facets_note
from lipschitz.report.plots.lines import figure_title, label_axes, label_constraints
from lipschitz.report.plots.look import points as text_size
from lipschitz.report.plots.panels import FINE, fit_axis, fit_y_axis, reference_line
from lipschitz.report.reading.metric_names import base, heading
from lipschitz.report.statistics.intervals import MEAN
from lipschitz.report.style import GREY
from lipschitz.sweep.timing.timing_files import iteration_ms
from lipschitz.tasks.wording import wording

_MOST_PANELS = 2
"""Panels: the first metrics of quality, which are those that a method is judged by."""
_WIDEST_SECONDS = 3.0
"""Factor between the most and the least expensive method above which the axis of seconds is logarithmic."""
_LEAST_SHARE = 0.4
"""Smallest share of the y axis that the methods' means may span; a floor that leaves them less is not on the axis."""
_FRONT_COLOUR = "#d0d0d0"


def cost_table(data: ComparisonData) -> pd.DataFrame:
    """Return quality and cost: constraint, metric, seconds, n, mean, low, high."""
    return pd.concat([data.final.iloc[:0].assign(seconds=0.0), *(_points(data, metric) for metric in _judging(data))])[
        ["constraint", "metric", "seconds", "n", "mean", "low", "high"]
    ]


@plot("Quality by cost", order=30, table=cost_table)
def quality_by_cost(data: ComparisonData) -> Figure | None:
    """Return the quality after the last step against the seconds of the whole training, one panel a metric.

    Seconds are steps times the time of a step in the serial timing pass, as in `quality_by_seconds`. Constraints
    without a timing are named in the subtitle; a constraint of which no seed finished has a label and no point. Where
    constraints were timed on different devices, the subtitle names these and there is no Pareto front.
    """
    points = {metric: _points(data, metric) for metric in _judging(data)}
    points = {metric: rows for metric, rows in points.items() if len(rows)}
    if not points:
        return None
    shown = {name for rows in points.values() for name in rows["constraint"]}
    devices = data.device_note(name for name in data.constraints if name in shown)
    found = facets(data.constraints)
    subtitle = _subtitle(data, points, devices) + facets_note(found, data.constraints)
    figure, cells = facet_grid(
        found,
        {metric: heading(metric) for metric in points},
        data.labels,
        figure_title("Quality by cost", data),
        subtitle,
        most_columns=1,
        size=(4.4, 2.2),
    )
    seconds = pd.concat(points.values())["seconds"].to_numpy(float)
    for facet, metric, panel, y_label, is_lowest, is_labelled in cells:
        rows = points[metric]
        is_last = is_lowest and (len(found) > 1 or metric == list(points)[-1])
        label_axes(panel, "Seconds of training" if is_last else "", y_label)
        panel.tick_params(axis="x", labelbottom=is_last)
        # The lines to the labels cross the panel already.
        panel.grid(visible=False, axis="y")
        panel.grid(axis="x", color="#ececec", linewidth=0.6)
        _floor(panel, data, metric, rows["mean"].to_numpy(float))
        # Methods with nearly equal seconds must not be spread over the whole axis.
        fit_axis(panel, "x", seconds, widest=_WIDEST_SECONDS, least=0.05, ticks=FINE)
        if not devices:
            _front(panel, rows[~rows["has_diverged"]], lower=CATALOGUE[base(metric)].better == "lower")
        own = rows["constraint"].isin([*facet.names, "none"])
        others = rows[~own]
        panel.plot(others["seconds"], others["mean"], color=_FRONT_COLOUR, marker="o", markersize=4, linestyle="")
        _mark(panel, data, rows[own])
        if is_labelled:
            means = dict(zip(rows["constraint"], rows["mean"], strict=True))
            label_constraints(figure, panel, data, means, facet.names)
    return figure


def front(seconds: NDArray[np.float64], means: NDArray[np.float64], *, lower: bool) -> list[int]:
    """Return the indices of the Pareto front, by rising cost.

    A point is on the front where no other point is at least as good in cost and mean and better in one of the two.

    Args:
        seconds: cost of each point, ``(m,)``.
        means: quality of each point, ``(m,)``.
        lower: whether a lower mean is better.
    """
    worse = means if lower else -means
    best, found = np.inf, []
    for index in np.lexsort((worse, seconds)):
        if worse[index] < best:
            best = worse[index]
            found.append(int(index))
    return found


def _judging(data: ComparisonData) -> list[str]:
    there = [name for name in data.quality if name in data.metrics]
    return [name for name in there if base(name) in CATALOGUE and CATALOGUE[base(name)].better][:_MOST_PANELS]


def _points(data: ComparisonData, metric: str) -> pd.DataFrame:
    """Return constraint, mean, low, high, seconds and whether a seed diverged, of constraints with a finished seed."""
    last = data.final
    rows: pd.DataFrame = last[(last["metric"] == metric) & np.isfinite(last["mean"])]
    rows = rows[rows["constraint"].isin(data.timings)]
    per_step = {name: iteration_ms(timing) / 1000 for name, timing in data.timings.items()}
    diverged = data.runs.loc[data.runs["status"] == "diverged", "constraint"]
    seconds = rows["step"] * rows["constraint"].map(per_step).astype(float)
    return rows.assign(seconds=seconds, has_diverged=rows["constraint"].isin(diverged))


def _floor(panel: Axes, data: ComparisonData, metric: str, means: NDArray[np.float64]) -> None:
    """Set the axis of quality by the means and, where this leaves them enough room, by the floor."""
    floor, name = data.floors.get(metric, np.nan), wording(data.comparison.task).floor
    fit_y_axis(panel, [*means, floor if _leaves_room(means, floor) else np.nan])
    low, high = panel.get_ylim()
    if low <= floor <= high:
        reference_line(panel, floor, name)
    elif np.isfinite(floor):
        place, arrow = (0.02, "↓") if floor < low else (0.94, "↑")
        at, text = panel.transAxes, f"{arrow} {name}: {show(floor)}"
        panel.text(0.01, place, text, transform=at, fontsize=text_size(7.5), color=GREY)


def _leaves_room(means: NDArray[np.float64], floor: float) -> bool:
    """Return whether the means span at least `_LEAST_SHARE` of an axis that begins or ends at the floor."""
    shown = np.append(means, floor)
    values = np.log(shown) if shown.min() > 0 and shown.max() > 20 * shown.min() else shown
    return bool(np.ptp(values[:-1]) >= _LEAST_SHARE * np.ptp(values))


def _front(panel: Axes, rows: pd.DataFrame, *, lower: bool) -> None:
    seconds, means = rows["seconds"].to_numpy(float), rows["mean"].to_numpy(float)
    if indices := front(seconds, means, lower=lower):
        x, y = [*seconds[indices], panel.get_xlim()[1]], [*means[indices], means[indices[-1]]]
        panel.step(x, y, where="post", color=_FRONT_COLOUR, linewidth=2.5, zorder=0.9)


def _mark(panel: Axes, data: ComparisonData, rows: pd.DataFrame) -> None:
    """Draw each point with its interval, and a faint line from it to its label."""
    bottom, right = panel.get_ylim()[0], panel.get_xlim()[1]
    seconds, mean, low, high = (rows[column].to_numpy(float) for column in ("seconds", "mean", "low", "high"))
    styles = [data.styles[name] for name in rows["constraint"]]
    colours = [style.colour for style in styles]
    # An interval that reaches zero has no lower end on a logarithmic axis: it leaves the panel.
    low = np.where((panel.get_yscale() == "log") & (low <= 0), bottom, low)
    panel.hlines(mean, seconds, right, colors=colours, linewidth=0.5, alpha=0.5, zorder=1.1)
    panel.vlines(seconds, low, high, colors=colours, linewidth=1, alpha=0.5, zorder=1.2)
    for x, y, style in zip(seconds, mean, styles, strict=True):
        panel.plot(
            x,
            y,
            color=style.colour,
            marker=style.marker,
            markersize=6.5,
            markeredgecolor="white",
            markeredgewidth=0.6,
            linestyle="",
        )


def _subtitle(data: ComparisonData, points: dict[str, pd.DataFrame], devices: str) -> str:
    bars = any(rows["ci95"].notna().any() for rows in points.values())
    bar = f", bar: {MEAN.short}, cut at the panel's edge" if bars else ""
    text = f"After the last step, {data.means_text}{bar}"
    if devices:
        text += ".\n"
    else:
        has_diverged = any(rows["has_diverged"].any() for rows in points.values())
        among = ", among methods without a diverged seed" if has_diverged else ""
        text += f".\nGrey steps: Pareto front, no other method has a better mean in less time{among}.\n"
    text += "Seconds = steps × time of one step alone on the device (serial timing pass)."
    missing = [name for name in data.constraints if name not in data.timings]
    return text + (f" Not measured: {', '.join(missing)}." if missing else "") + devices
