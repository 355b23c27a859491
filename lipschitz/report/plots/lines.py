"""Lines over training, one a constraint: how they are drawn, named and explained."""

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from matplotlib.ticker import MaxNLocator

from lipschitz.report.plots.evidence import Evidence
from lipschitz.report.plots.labels import label_ends, label_room
from lipschitz.report.statistics.intervals import MEAN

DASHES = (0, (3, 2))
WIDE = 40
"""Characters that a label can have beside a panel of the usual height."""
MOST_BANDS = 8
"""Constraints whose intervals are drawn together; of more, the shades of one another hide them all."""


def explained(evidence: Evidence) -> str:
    """Say what the lines and bands of curves are."""
    shaded = f", shaded: {MEAN.short}, cut at the panel's edge" if _has_bands(evidence) else ""
    return f"Mean over n seeds{shaded}. A thin line ending in × is a diverged seed."


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
    panel.set_ylabel(fill(y_label, len(y_label) // 2 + 5) if len(y_label) > WIDE else y_label)
    panel.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    panel.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    panel.set_axisbelow(True)


def heading_of(what: str, evidence: Evidence) -> str:
    """Return the title of a figure: what it shows, of which comparison."""
    return f"{what}  ·  {evidence.title}"


def room(evidence: Evidence) -> float:
    """Return the right margin, in inches, that the constraints' names need."""
    return label_room(list(evidence.names.values()))


def _has_bands(evidence: Evidence) -> bool:
    return len(evidence.constraints) <= MOST_BANDS
