"""Curves over training: quality by step and by seconds, and the bracket around the Lipschitz constant."""

import numpy as np
from matplotlib.figure import Figure

from lipschitz.report.plots.devices import several_devices
from lipschitz.report.plots.evidence import Evidence
from lipschitz.report.plots.labels import LINE
from lipschitz.report.plots.lines import DASHES, WIDE, axis, draw, explained, heading_of, label, room
from lipschitz.report.plots.panels import horizontal, panels, scale
from lipschitz.report.reading.metric_names import base, heading
from lipschitz.report.wording import wording
from lipschitz.sweep.timing.timing_files import iteration_ms

_LINEAR = {"cosine"}
"""Metrics whose axis is never logarithmic, however small the first of their values."""


def quality_by_step(evidence: Evidence) -> Figure | None:
    """Return quality against training steps, one panel a metric."""
    metrics = _quality(evidence)
    return _curves(evidence, metrics, "Quality by training step", explained(evidence), "Step") if metrics else None


def quality_by_seconds(evidence: Evidence) -> Figure | None:
    """Return quality against the seconds that the steps take when a run has the device to itself.

    Seconds are steps times what the serial timing pass measured of n_dis discriminator steps and, where there is a
    generator, one generator step; the elapsed time of runs that shared a device is not used. Constraints without a
    timing are left out and named, and so are devices where there are several.
    """
    per_step = {name: iteration_ms(timing) / 1000 for name, timing in evidence.timings.items()}
    if not (_quality(evidence) and per_step):
        return None
    missing = [name for name in evidence.constraints if name not in per_step]
    said = f"{explained(evidence)}\nSeconds = steps × time of one step alone on the device (serial timing pass)."
    said += f" Not measured: {', '.join(missing)}." if missing else ""
    said += several_devices(evidence, evidence.constraints)
    return _curves(evidence, _quality(evidence), "Quality by training time", said, "Seconds of training", per_step)


def lipschitz(evidence: Evidence) -> Figure | None:
    """Return the bracket around the discriminator's Lipschitz constant against training steps."""
    if "lipschitz_lower" not in evidence.metrics:
        return None
    said = (
        "Solid: largest gradient norm or difference quotient found. Dashed: certified layer bounds, composed; "
        f"none where D is not Lipschitz.\n{explained(evidence)}"
    )
    return _curves(
        evidence, ["lipschitz_lower"], "Bracket around Lip(D)", said, "Step", unit_line=True, dashed="lipschitz_upper"
    )


def _curves(
    evidence: Evidence,
    metrics: list[str],
    title: str,
    said: str,
    x_label: str,
    per_step: dict[str, float] | None = None,
    unit_line: bool = False,
    dashed: str | None = None,
) -> Figure:
    # Tall enough for a label a constraint.
    labels = LINE * len(evidence.constraints)
    size = (3.0, max(2.2, labels)) if len(metrics) > 1 else (4.2, max(2.6, labels))
    headings = [heading(metric) if dashed is None else "Lipschitz constant of D" for metric in metrics]
    # A label of two lines needs more room on its left.
    margin = 0.9 if max(map(len, headings)) > WIDE else 0.75
    figure, axes = panels(
        len(metrics),
        3,
        heading_of(title, evidence),
        said,
        size=size,
        gap=(margin, 0.75),
        left=margin,
        right=room(evidence),
    )
    for index, (metric, panel) in enumerate(zip(metrics, axes, strict=True)):
        curves = evidence.curves[evidence.curves["metric"] == metric]
        broken = evidence.broken[evidence.broken["metric"] == metric]
        if per_step is not None:
            curves, broken = (
                frame[frame["constraint"].isin(per_step)].assign(
                    step=lambda rows: rows["step"] * rows["constraint"].map(per_step)
                )
                for frame in (curves, broken)
            )
        ends = draw(panel, evidence, curves, broken)
        others = evidence.curves[(evidence.curves["metric"] == dashed) & np.isfinite(evidence.curves["mean"])]
        for name, line in others.groupby("constraint", sort=False):
            colour = evidence.styles[str(name)].colour
            panel.plot(line["step"], line["mean"], color=colour, linewidth=1, linestyle=DASHES)
        shown = [*curves["mean"], *others["mean"], *broken["value"]]
        linear = base(metric) in _LINEAR
        task, floor = wording(evidence.comparison.task), evidence.floors.get(metric, np.nan)
        scale(panel, [*shown, floor if task.axes_reach_floor or linear else np.nan], linear=linear)
        low, high = panel.get_ylim()
        if low <= floor <= high:
            horizontal(panel, floor, task.floor)
        if unit_line:
            horizontal(panel, 1.0, "1")
        axis(panel, x_label, headings[index])
        if index == min(len(metrics), 3) - 1:
            label(figure, panel, evidence, ends)
    return figure


def _quality(evidence: Evidence) -> list[str]:
    return [metric for metric in evidence.quality if metric in evidence.metrics]
