"""Plot curves over training: quality by step and by seconds, and the bracket around the Lipschitz constant by step."""

import numpy as np
from matplotlib.figure import Figure

from lipschitz.report.plots.base import plot
from lipschitz.report.plots.data import ComparisonData
from lipschitz.report.plots.lines import (
    DASHES,
    LABEL_HEIGHT,
    LONGEST_AXIS_LABEL,
    constraints_margin,
    draw_lines,
    figure_title,
    label_axes,
    label_constraints,
    lines_note,
)
from lipschitz.report.plots.panels import fit_y_axis, panels, reference_line
from lipschitz.report.reading.metric_names import base, heading
from lipschitz.sweep.timing.timing_files import iteration_ms
from lipschitz.tasks.wording import wording

_LINEAR = {"cosine"}
"""Metrics whose axis is never logarithmic, however small the first of their values."""


@plot("Quality by training step", order=10, headline=True)
def quality_by_step(data: ComparisonData) -> Figure | None:
    """Return quality against training steps, one panel a metric."""
    metrics = _quality(data)
    return _curves(data, metrics, "Quality by training step", lines_note(data), "Step") if metrics else None


@plot("Quality by training time", order=20)
def quality_by_seconds(data: ComparisonData) -> Figure | None:
    """Return quality against the seconds that the steps take when a run has the device to itself.

    Seconds are steps times the time that the serial timing pass measured for n_dis discriminator steps and, where there
    is a generator, one generator step; the elapsed time of runs that shared a device is not used. Constraints without a
    timing are left out and named. Several devices are named, too.
    """
    per_step = {name: iteration_ms(timing) / 1000 for name, timing in data.timings.items()}
    if not (_quality(data) and per_step):
        return None
    missing = [name for name in data.constraints if name not in per_step]
    subtitle = f"{lines_note(data)}\nSeconds = steps × time of one step alone on the device (serial timing pass)."
    subtitle += f" Not measured: {', '.join(missing)}." if missing else ""
    subtitle += data.device_note(data.constraints)
    return _curves(data, _quality(data), "Quality by training time", subtitle, "Seconds of training", per_step)


@plot("Bracket around the Lipschitz constant, by training step", order=70)
def lipschitz(data: ComparisonData) -> Figure | None:
    """Return the bracket around the discriminator's Lipschitz constant against training steps."""
    if "lipschitz_lower" not in data.metrics:
        return None
    subtitle = (
        "Solid: lower bound, the steepest slope found. Dashed: certified upper bound, where one was found.\n"
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
    # The panel must be tall enough for a label of every constraint.
    labels = LABEL_HEIGHT * len(data.constraints)
    size = (3.0, max(2.2, labels)) if len(metrics) > 1 else (4.2, max(2.6, labels))
    headings = [heading(metric) if dashed is None else "Lipschitz constant of D" for metric in metrics]
    # A label of two lines needs a wider margin on its left.
    margin = 0.9 if max(map(len, headings)) > LONGEST_AXIS_LABEL else 0.75
    figure, axes = panels(
        len(metrics),
        3,
        figure_title(title, data),
        subtitle,
        size=size,
        gap=(margin, 0.75),
        left=margin,
        right=constraints_margin(data),
    )
    for index, (metric, panel) in enumerate(zip(metrics, axes, strict=True)):
        curves = data.curves[data.curves["metric"] == metric]
        diverged = data.diverged[data.diverged["metric"] == metric]
        if per_step is not None:
            curves, diverged = (
                frame[frame["constraint"].isin(per_step)].assign(
                    step=lambda rows: rows["step"] * rows["constraint"].map(per_step)
                )
                for frame in (curves, diverged)
            )
        last = draw_lines(panel, data, curves, diverged)
        others = data.curves[(data.curves["metric"] == dashed) & np.isfinite(data.curves["mean"])]
        for name, line in others.groupby("constraint", sort=False):
            colour = data.styles[str(name)].colour
            panel.plot(line["step"], line["mean"], color=colour, linewidth=1, linestyle=DASHES)
        shown = [*curves["mean"], *others["mean"], *diverged["value"]]
        linear = base(metric) in _LINEAR
        task, floor = wording(data.comparison.task), data.floors.get(metric, np.nan)
        fit_y_axis(panel, [*shown, floor if task.axes_reach_floor or linear else np.nan], linear=linear)
        low, high = panel.get_ylim()
        if low <= floor <= high:
            reference_line(panel, floor, task.floor)
        if unit_line:
            reference_line(panel, 1.0, "1")
        label_axes(panel, x_label, headings[index])
        if index == min(len(metrics), 3) - 1:
            label_constraints(figure, panel, data, last)
    return figure


def _quality(data: ComparisonData) -> list[str]:
    return [metric for metric in data.quality if metric in data.metrics]
