"""Curves over training: quality by step and by seconds, and the bracket around the Lipschitz constant."""

from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from matplotlib.ticker import MaxNLocator

from lipschitz.report.plots.evidence import Evidence
from lipschitz.report.plots.labels import LINE, label_ends, label_room
from lipschitz.report.plots.panels import horizontal, panels, scale
from lipschitz.report.protocols import base
from lipschitz.report.tasks import told
from lipschitz.report.titles import heading

DASHES = (0, (3, 2))
_LINEAR = {"cosine"}
"""Metrics whose axis is never logarithmic, however small the first of their values."""
_WIDE = 40
"""Characters that a label can have beside a panel of the usual height."""
MOST_BANDS = 8
"""Constraints whose intervals are drawn together; of more, the shades of one another hide them all."""


def explained(evidence: Evidence) -> str:
    """Say what the lines and bands of curves are."""
    shaded = ", shaded: 95 % interval, cut at the panel's edge" if _has_bands(evidence) else ""
    return f"Mean over n seeds{shaded}. A thin line ending in × is a diverged seed."


def quality_by_step(evidence: Evidence) -> Figure | None:
    """Return quality against training steps, one panel a metric."""
    metrics = _quality(evidence)
    return _curves(evidence, metrics, "Quality by training step", explained(evidence), "Step") if metrics else None


def quality_by_seconds(evidence: Evidence) -> Figure | None:
    """Return quality against the seconds that the steps take when a run has the device to itself.

    Seconds are steps times what the serial timing pass measured of n_dis discriminator steps and, where there is a
    generator, one generator step; the elapsed time of runs that shared a device is not used. Constraints without a
    timing are left out and named.
    """
    per_step = {name: seconds_per_step(timing) for name, timing in evidence.timings.items()}
    if not (_quality(evidence) and per_step):
        return None
    missing = [name for name in evidence.constraints if name not in per_step]
    said = f"{explained(evidence)}\nSeconds = steps × time of one step alone on the device (serial timing pass)."
    said += f" Not measured: {', '.join(missing)}." if missing else ""
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


def seconds_per_step(timing: dict[str, Any]) -> float:
    """Return the seconds of one training step: n_dis discriminator updates and the generator's, where there is one."""
    generator = float(timing["ms_generator_step"]["median"]) if "ms_generator_step" in timing else 0.0
    return (float(timing["n_dis"]) * float(timing["ms_discriminator_step"]["median"]) + generator) / 1000


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
    margin = 0.9 if max(map(len, headings)) > _WIDE else 0.75
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
        task, floor = told(evidence.comparison.task), evidence.floors.get(metric, np.nan)
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


def draw(panel: Axes, evidence: Evidence, curves: pd.DataFrame, broken: pd.DataFrame) -> dict[str, float]:
    """Draw one line a constraint, and one a diverged seed; return where each constraint's line ends."""
    ends: dict[str, float] = {}
    for label, trace in broken.groupby(["constraint", "run"], sort=False):
        name, style = str(label[0]), evidence.styles[str(label[0])]
        panel.plot(trace["step"], trace["value"], color=style.colour, linewidth=0.8, alpha=0.8)
        panel.plot(
            trace["step"].iloc[-1:],
            trace["value"].iloc[-1:],
            color=style.colour,
            marker="x",
            markersize=7,
            markeredgewidth=2,
        )
        ends[name] = float(trace["value"].iloc[-1])
    by_constraint = {str(name): line for name, line in curves.groupby("constraint", sort=False)}
    for name in evidence.constraints:
        if name not in by_constraint:
            continue
        line, style = by_constraint[name], evidence.styles[name]
        steps, mean, ci95 = (line[column].to_numpy(float) for column in ("step", "mean", "ci95"))
        if (ci95 == ci95).any() and _has_bands(evidence):
            low = mean - ci95
            if panel.get_yscale() == "log":
                # An interval that reaches zero has no lower edge here: shade what lies above the mean.
                low = np.where(low > 0, low, mean)
            band = np.concatenate([np.stack([steps, low], 1), np.stack([steps, mean + ci95], 1)[::-1]])
            panel.add_artist(Polygon(band[np.isfinite(band[:, 1])], color=style.colour, alpha=0.15, linewidth=0))
        every = max(1, len(steps) // 8)
        panel.plot(
            steps,
            mean,
            color=style.colour,
            marker=style.marker,
            markevery=every,
            markeredgecolor="white",
            markeredgewidth=0.5,
        )
        ends[name] = float(mean[-1])
    return ends


def label(figure: Figure, panel: Axes, evidence: Evidence, ends: dict[str, float]) -> None:
    """Name each constraint right of the panel, where its line ends."""
    label_ends(
        figure, panel, [(evidence.names[name], evidence.styles[name], ends.get(name)) for name in evidence.constraints]
    )


def axis(panel: Axes, x_label: str, y_label: str) -> None:
    """Label the axes of a panel of curves."""
    panel.set_xlabel(x_label)
    panel.set_ylabel(fill(y_label, len(y_label) // 2 + 5) if len(y_label) > _WIDE else y_label)
    panel.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    panel.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    panel.set_axisbelow(True)


def heading_of(what: str, evidence: Evidence) -> str:
    """Return the title of a figure: what it shows, of which comparison."""
    return f"{what}  ·  {evidence.title}"


def room(evidence: Evidence) -> float:
    """Return the right margin, in inches, that the constraints' names need."""
    return label_room(list(evidence.names.values()))


def _quality(evidence: Evidence) -> list[str]:
    return [metric for metric in evidence.quality if metric in evidence.metrics]


def _has_bands(evidence: Evidence) -> bool:
    return len(evidence.constraints) <= MOST_BANDS
