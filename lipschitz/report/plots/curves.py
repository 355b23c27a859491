"""Plot curves over training: quality by step and by seconds, and the bracket around the Lipschitz constant by step."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lipschitz.report.plots.base import plot
from lipschitz.report.plots.brackets import VACUOUS
from lipschitz.report.plots.data import ComparisonData
from lipschitz.report.plots.facets import MOST_LINES, facet_grid, facets, facets_note
from lipschitz.report.plots.lines import (
    DASHES,
    draw_lines,
    figure_title,
    label_axes,
    label_constraints,
    lines_note,
)
from lipschitz.report.plots.panels import fit_y_axis, reference_line
from lipschitz.report.reading.metric_names import base, heading
from lipschitz.sweep.timing.timing_files import iteration_ms
from lipschitz.tasks.wording import wording

_TABLE = ["constraint", "metric", "step", "n", "mean", "low", "high"]
_LONGEST_AXIS_LABEL = 40
"""Characters of a y axis label that stand in one line."""
_LINEAR = {"cosine"}
"""Metrics whose axis is never logarithmic, however small the first of their values."""


def quality_table(data: ComparisonData) -> pd.DataFrame:
    """Return quality over training: constraint, metric, step, n, mean, low, high, and seconds if a step was timed."""
    per_step = {name: iteration_ms(timing) / 1000 for name, timing in data.timings.items()}
    rows = data.curves[data.curves["metric"].isin(_quality(data))]
    return rows[_TABLE].assign(seconds=rows["step"] * rows["constraint"].map(per_step).astype(float))


def lipschitz_table(data: ComparisonData) -> pd.DataFrame:
    """Return the bracket over training: constraint, metric, step, n, mean, low, high."""
    return data.curves.loc[data.curves["metric"].isin(["lipschitz_lower", "lipschitz_upper"]), _TABLE]


@plot("Quality by training step", order=10, table=quality_table)
def quality_by_step(data: ComparisonData) -> Figure | None:
    """Return quality against training steps, one panel a metric."""
    metrics = _quality(data)
    return _curves(data, metrics, "Quality by training step", lines_note(data), "Step") if metrics else None


@plot("Quality by training time", order=20, table=quality_table)
def quality_by_seconds(data: ComparisonData) -> Figure | None:
    """Return quality against the seconds that the steps take when a run has the device to itself; None of many methods.

    Of many methods `quality_by_cost` shows the seconds.

    Seconds are steps times the time that the serial timing pass measured for n_dis discriminator steps and, where there
    is a generator, one generator step; the elapsed time of runs that shared a device is not used. Constraints without a
    timing are left out and named. Several devices are named, too.
    """
    per_step = {name: iteration_ms(timing) / 1000 for name, timing in data.timings.items()}
    if not (_quality(data) and per_step) or len(data.constraints) > MOST_LINES:
        return None
    missing = [name for name in data.constraints if name not in per_step]
    subtitle = f"{lines_note(data)}\nSeconds = steps × time of one step alone on the device (serial timing pass)."
    subtitle += f" Not measured: {', '.join(missing)}." if missing else ""
    subtitle += data.device_note(data.constraints)
    return _curves(data, _quality(data), "Quality by training time", subtitle, "Seconds of training", per_step)


@plot("Bracket around the Lipschitz constant, by training step", order=70, table=lipschitz_table)
def lipschitz(data: ComparisonData) -> Figure | None:
    """Return the bracket around the discriminator's Lipschitz constant against training steps."""
    if "lipschitz_lower" not in data.metrics:
        return None
    subtitle = (
        "Solid: lower bound, the steepest slope found. Dashed: certified upper bound, up to 10⁶ times that.\n"
        f"{lines_note(data)}"
    )
    return _curves(
        data, ["lipschitz_lower"], "Bracket around Lip(D)", subtitle, "Step", unit_line=True, dashed="lipschitz_upper"
    )


def _curves(
    data: ComparisonData,
    metrics: list[str],
    title: str,
    subtitle: str,
    x_label: str,
    per_step: dict[str, float] | None = None,
    unit_line: bool = False,
    dashed: str | None = None,
) -> Figure:
    headings = {metric: heading(metric) if dashed is None else "Lipschitz constant of D" for metric in metrics}
    # A label of two lines needs a wider margin on its left.
    margin = 0.9 if max(map(len, headings.values())) > _LONGEST_AXIS_LABEL else 0.75
    found = facets(data.constraints)
    subtitle += facets_note(found, data.constraints, metrics)
    size = (3.0, 2.2) if len(metrics) > 1 else (4.2, 2.6)
    title = figure_title(title, data)
    figure, cells = facet_grid(found, headings, data.labels, title, subtitle, size=size, margin=margin)
    drawn = {metric: _Drawn.of(data, metric, per_step, dashed) for metric in metrics}
    for facet, metric, panel, y_label, is_lowest, is_labelled in cells:
        one = drawn[metric]
        last = draw_lines(panel, data, one.curves, one.diverged, facet.names)
        for name, line in one.others.groupby("constraint", sort=False):
            if name in facet.names:
                colour = data.styles[str(name)].colour
                panel.plot(line["step"], line["mean"], color=colour, linewidth=1, linestyle=DASHES)
        linear = base(metric) in _LINEAR
        task, floor = wording(data.comparison.task), data.floors.get(metric, np.nan)
        fit_y_axis(panel, [*one.shown, floor if task.axes_reach_floor or linear else np.nan], linear=linear)
        low, high = panel.get_ylim()
        if low <= floor <= high:
            reference_line(panel, floor, task.floor)
        if unit_line:
            reference_line(panel, 1.0, "1")
        label_axes(panel, x_label if is_lowest else "", y_label)
        panel.tick_params(axis="x", labelbottom=is_lowest)
        if is_labelled:
            label_constraints(figure, panel, data, last, facet.names)
    return figure


class _Drawn(NamedTuple):
    """What is drawn of one metric."""

    curves: pd.DataFrame
    diverged: pd.DataFrame
    others: pd.DataFrame
    """The dashed lines."""
    shown: list[float]
    """All values that the y axis must hold."""

    @classmethod
    def of(
        cls, data: ComparisonData, metric: str, per_step: dict[str, float] | None = None, dashed: str | None = None
    ) -> "_Drawn":
        curves = data.curves[data.curves["metric"] == metric]
        diverged = data.diverged[data.diverged["metric"] == metric]
        if per_step is not None:
            curves, diverged = (
                frame[frame["constraint"].isin(per_step)].assign(
                    step=lambda rows: rows["step"] * rows["constraint"].map(per_step)
                )
                for frame in (curves, diverged)
            )
        others = data.curves[(data.curves["metric"] == dashed) & np.isfinite(data.curves["mean"])]
        if dashed is not None:
            # A vacuous bound would squeeze all others.
            lower = curves.set_index(["constraint", "step"])["mean"].rename("lower")
            others = others.join(lower, on=["constraint", "step"])
            others = others[~(others["mean"] > VACUOUS * others["lower"])]
        return cls(curves, diverged, others, [*curves["mean"], *others["mean"], *diverged["value"]])


def _quality(data: ComparisonData) -> list[str]:
    return [metric for metric in data.quality if metric in data.metrics]
