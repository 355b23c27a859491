"""Plot the generalisation gap of classifiers against λ: a hyperparameter that a sweep varies, method by method."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lipschitz.report.plots.base import plot
from lipschitz.report.plots.data import ComparisonData
from lipschitz.report.plots.lines import figure_title
from lipschitz.report.plots.panels import FINE, fit_axis, fit_y_axis, panels
from lipschitz.report.reading.comparisons import flatten
from lipschitz.report.reading.metric_names import heading, parse_metric
from lipschitz.report.statistics.intervals import MEAN
from lipschitz.report.style import GREY, INK, KNOWN, styles

_METRICS = (("accuracy_gap", ""), ("loss_gap", ""), ("accuracy", "test"))


class Varied(NamedTuple):
    """A method of which one number varies, all else being equal."""

    method: str
    field: str
    values: dict[str, float]
    """By constraint, the number; rising."""


def gap_table(data: ComparisonData) -> pd.DataFrame:
    """Return gaps and accuracy by the number that varies, which is ``value``: a row a constraint and metric."""
    rows = data.final[[parse_metric(name)[:2] in _METRICS for name in data.final["metric"]]]
    parts = [
        rows.assign(method=one.method, field=one.field, value=rows["constraint"].map(one.values))
        for one in varied(data)
    ]
    found = pd.concat(parts)
    return found.loc[
        found["value"].notna(), ["method", "field", "value", "constraint", "metric", "n", "mean", "low", "high"]
    ]


@plot("Generalisation gap by hyperparameter", order=36, table=gap_table)
def gap_by_weight(data: ComparisonData) -> Figure | None:
    """Return the gaps and test accuracy against the number that varies: a row a method, a column a metric.

    After the last step, means and intervals over the seeds that finished. A dashed line is ``none``.
    """
    metrics = [name for wanted in _METRICS for name in data.metrics if parse_metric(name)[:2] == wanted]
    found = list(varied(data)) if len(metrics) == len(_METRICS) else []
    if not found:
        return None
    subtitle = (
        f"After the last step, mean over seeds; bar: {MEAN.short}, cut at the panel's edge. Dashed: no constraint."
    )
    figure, axes = panels(
        len(found) * len(metrics),
        len(metrics),
        figure_title("Gap by hyperparameter", data),
        subtitle,
        size=(2.7, 1.9),
        gap=(0.85, 0.85),
        above=0.25,
    )
    for place, panel in enumerate(axes):
        one, metric = found[place // len(metrics)], metrics[place % len(metrics)]
        _draw(panel, data, one, metric)
        if metric == metrics[0]:
            panel.set_title(one.method, fontweight="bold")
    return figure


def varied(data: ComparisonData) -> Iterator[Varied]:
    """Yield the methods of which at least two constraints of a comparison differ in one positive number alone."""
    first = data.runs.drop_duplicates("constraint").set_index("constraint")["configuration"]
    fields = {name: _fields(data.results.definitions[first[name]]) for name in data.constraints}
    groups: dict[tuple[str, str, str], dict[str, float]] = {}
    for name, own in fields.items():
        for field, value in own.items():
            if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
                others = repr(sorted((key, repr(other)) for key, other in own.items() if key != field))
                groups.setdefault((_method(own), field, others), {})[name] = float(value)
    for (method, field, _), values in groups.items():
        if len(set(values.values())) > 1:
            yield Varied(method, field.rpartition(".")[2], dict(sorted(values.items(), key=lambda item: item[1])))


def _fields(definition: dict[str, Any]) -> dict[str, Any]:
    """Return the resolved constraints of a run by path, ``0.weight``."""
    parts = definition.get("constraints", [])
    return flatten(dict(enumerate(parts)))


def _method(fields: dict[str, Any]) -> str:
    return " + ".join(str(value) for path, value in fields.items() if path.rpartition(".")[2] == "name")


def _draw(panel: Axes, data: ComparisonData, one: Varied, metric: str) -> None:
    last = data.final[data.final["metric"] == metric].set_index("constraint")
    rows = last.reindex(list(one.values)).assign(x=list(one.values.values()))
    rows = rows[np.isfinite(rows["mean"].astype(float))]
    none = float(last["mean"].get("none", math.nan))
    style = styles([one.method])[one.method] if one.method in KNOWN else None
    colour = style.colour if style else INK
    fit_y_axis(panel, [*rows["mean"], none], linear=True)
    fit_axis(panel, "x", pd.Series(list(one.values.values())), widest=5.0, ticks=FINE)
    panel.plot(rows["x"], rows["mean"], color=colour, marker=style.marker if style else "o")
    bars = rows[np.isfinite(rows["ci95"])]
    panel.vlines(bars["x"], bars["low"], bars["high"], color=colour, alpha=0.5)
    if math.isfinite(none):
        panel.axhline(none, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    panel.grid(axis="y", color="#ececec", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.set_xlabel(one.field)
    panel.set_ylabel(heading(metric))
