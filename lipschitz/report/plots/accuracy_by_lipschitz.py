"""Plot accuracy and generalisation gap of classifiers against the Lipschitz constant, with its bracket as error bar."""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lipschitz.report.plots.base import plot
from lipschitz.report.plots.brackets import final_bounds, set_log_limits, without_vacuous
from lipschitz.report.plots.data import ComparisonData
from lipschitz.report.plots.facets import facet_grid, facets, facets_note
from lipschitz.report.plots.lines import figure_title, label_axes, label_constraints
from lipschitz.report.plots.panels import fit_y_axis
from lipschitz.report.reading.metric_names import heading, parse_metric
from lipschitz.report.statistics.intervals import MEAN

_METRICS = (("accuracy", "test"), ("accuracy_gap", ""))
_LOWER, _UPPER = "lipschitz_lower", "lipschitz_upper"


def accuracy_table(data: ComparisonData) -> pd.DataFrame:
    """Return accuracy, gap and both bounds: constraint, metric, n, mean, low, high, and the bounds by their names."""
    rows = data.final[[parse_metric(name)[:2] in _METRICS for name in data.final["metric"]]]
    return rows.join(final_bounds(data)[[_LOWER, _UPPER]], on="constraint")[
        ["constraint", "metric", "n", "mean", "low", "high", _LOWER, _UPPER]
    ]


@plot("Accuracy and generalisation gap by Lipschitz constant", order=34, table=accuracy_table)
def accuracy_by_lipschitz(data: ComparisonData) -> Figure | None:
    """Return test accuracy, and the gap, against the bracket around the Lipschitz constant, one point a constraint.

    After the last step: means over the seeds that finished, and geometric means of both bounds. The marker is at the
    lower bound. Where there is no upper bound, or a vacuous one, the bar ends in an arrow at the edge.
    """
    metrics = [name for name in data.metrics if parse_metric(name)[:2] in _METRICS]
    bounds = without_vacuous(final_bounds(data)) if metrics else pd.DataFrame()
    if bounds.empty:
        return None
    subtitle = (
        "Horizontal bar: bracket of Lip(D), from the steepest pair of points found (marker) to the certified bound;\n"
        f"arrow: none was found, or one over 10⁶ times the lower. Last step, {data.mean_over_seeds()}"
    )
    interval = f"\n(bounds: geometric). Vertical bar: {MEAN.short}, cut at the panel's edge."
    subtitle += "." if data.has_one_seed else interval
    found = facets(data.constraints)
    subtitle += facets_note(found, data.constraints)
    figure, cells = facet_grid(
        found,
        {metric: heading(metric) for metric in metrics},
        data.labels,
        figure_title("Accuracy by Lipschitz constant", data),
        subtitle,
        most_columns=1,
        size=(6.4, 2.2),
    )
    for facet, metric, panel, y_label, is_lowest, is_labelled in cells:
        rows = data.final[data.final["metric"] == metric].set_index("constraint")
        rows = rows.join(bounds[[_LOWER, _UPPER]], how="inner")
        is_last = is_lowest and (len(found) > 1 or metric == metrics[-1])
        set_log_limits(panel, bounds[[_LOWER, _UPPER]])
        fit_y_axis(panel, rows["mean"], linear=True)
        ticks = panel.xaxis.get_major_locator()
        label_axes(panel, "Lipschitz constant of D" if is_last else "", y_label)
        panel.xaxis.set_major_locator(ticks)
        panel.tick_params(axis="x", labelbottom=is_last)
        others = rows[~rows.index.isin([*facet.names, "none"])]
        panel.plot(others[_LOWER], others["mean"], color="#d0d0d0", marker="o", markersize=4, linestyle="")
        for name, row in rows.drop(others.index).iterrows():
            _point(panel, data, str(name), row)
        if is_labelled:
            means = {str(name): float(row["mean"]) for name, row in rows.iterrows()}
            label_constraints(figure, panel, data, means, facet.names)
    return figure


def _point(panel: Axes, data: ComparisonData, name: str, row: pd.Series) -> None:
    style, right = data.styles[name], panel.get_xlim()[1]
    y, low, high = float(row["mean"]), float(row[_LOWER]), float(row[_UPPER])
    if not low > 0:
        # A constant network has no place on a logarithmic axis.
        low = panel.get_xlim()[0]
    if math.isfinite(row["ci95"]):
        panel.vlines(low, row["low"], row["high"], color=style.colour, linewidth=1, alpha=0.5)
    panel.hlines(y, low, right, color=style.colour, linewidth=0.4, alpha=0.5)
    if not np.isnan(high):
        panel.hlines(y, low, min(high, right), color=style.colour, linewidth=3, alpha=0.4)
    if high == math.inf:
        panel.plot(right, y, color=style.colour, marker=">", markersize=6, clip_on=False)
    elif high > 1.03 * low:
        panel.plot(high, y, color=style.colour, marker="|", markersize=9, markeredgewidth=1.5)
    edge: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.4}
    panel.plot(low, y, color=style.colour, marker=style.marker, markersize=6.5, zorder=3, **edge)
