"""Plot input-gradient norms of the discriminator by where they were measured: real, generated, between, noise."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lipschitz.report.plots.base import plot
from lipschitz.report.plots.data import ComparisonData
from lipschitz.report.plots.lines import LABEL_HEIGHT, constraints_margin, figure_title, label_constraints
from lipschitz.report.plots.panels import fit_y_axis, panels, reference_line
from lipschitz.report.reading.metric_names import parse_metric
from lipschitz.report.statistics.intervals import GEOMETRIC
from lipschitz.report.style import Style
from lipschitz.tasks.wording import wording

WHERE = ("real", "interpolated", "fake", "old", "noise")
"""Places from left to right; a gradient penalty never samples the last two."""

_KINDS = {"gradient_norm": "Mean norm", "gradient_norm_max": "Largest norm"}


@plot("Input-gradient norms by place", order=80)
def gradients(data: ComparisonData) -> Figure | None:
    """Return the mean and the largest input-gradient norm after the last step, by where the samples lie."""
    names = [parse_metric(name) for name in data.final["metric"]]
    final = data.final.assign(kind=[name.base for name in names], where=[name.place for name in names])
    kinds = [kind for kind in _KINDS if (final["kind"] == kind).any()]
    if not kinds:
        return None
    task = wording(data.comparison.task)
    recorded = set(final.loc[final["kind"] == "gradient_norm", "where"])
    subtitle = f"After the last step: geometric mean over seeds, {GEOMETRIC.short}."
    if "old" in recorded:
        subtitle += " Old: between real and an earlier generator's samples."
    if "interpolated" in recorded:
        subtitle += f"\nA gradient penalty asks for norm 1 only between {task.real} and {task.fake} samples."
    figure, axes = panels(
        len(kinds),
        2,
        figure_title("Input-gradient norm of D, by place", data),
        subtitle,
        size=(3.9, max(2.4, LABEL_HEIGHT * len(data.constraints))),
        right=constraints_margin(data),
    )
    for kind, panel in zip(kinds, axes, strict=True):
        rows = final[final["kind"] == kind]
        table = rows.set_index(["constraint", "where"])
        found = set(table.index.get_level_values("where"))
        places = [place for place in WHERE if place in found] + sorted(found - set(WHERE))
        last: dict[str, float] = {}
        for offset, name in zip(np.linspace(-0.26, 0.26, len(data.constraints)), data.constraints, strict=True):
            if name in table.index.get_level_values("constraint"):
                of_name = pd.DataFrame(table.loc[name]).reindex(places)
                _points(panel, of_name, offset, data.styles[name])
                last[name] = float(of_name["mean"].iloc[-1])
        fit_y_axis(panel, rows["mean"])
        reference_line(panel, 1.0, "")
        panel.set_xlim(-0.5, len(places) - 0.5)
        panel.set_xticks(range(len(places)), [task.places.get(str(place), str(place)) for place in places])
        for edge in range(1, len(places)):
            panel.axvline(edge - 0.5, color="#e6e6e6", linewidth=0.6, zorder=0)
        panel.set_ylabel(_KINDS[kind])
    label_constraints(figure, axes[-1], data, last)
    return figure


def _points(panel: Axes, rows: pd.DataFrame, offset: float, style: Style) -> None:
    x = np.arange(len(rows)) + offset
    panel.vlines(x, rows["low"], rows["high"], color=style.colour, linewidth=1, alpha=0.7)
    panel.plot(x, rows["mean"], color=style.colour, marker=style.marker, linestyle="", markersize=5.5)
