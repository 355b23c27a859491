"""Input-gradient norms by where they were measured: a penalty acts where it looks, and nowhere else."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lipschitz.report.plots.evidence import Evidence
from lipschitz.report.plots.labels import LINE, label_ends, label_room
from lipschitz.report.plots.panels import horizontal, panels, scale
from lipschitz.report.statistics.intervals import MEAN
from lipschitz.report.style import Style
from lipschitz.report.wording import wording

WHERE = ("real", "interpolated", "fake", "old", "noise")
"""From where a gradient penalty looks to where it never does."""

_KINDS = {"gradient_norm": "Mean norm", "gradient_norm_max": "Largest norm"}


def gradients(evidence: Evidence) -> Figure | None:
    """Return the mean and the largest input-gradient norm after the last step, by where the samples lie."""
    final = evidence.final[evidence.final["metric"].str.startswith("gradient_norm")]
    kinds = [kind for kind in _KINDS if final["metric"].str.startswith(f"{kind}/").any()]
    if not kinds:
        return None
    task = wording(evidence.comparison.task)
    has_old = bool((final["metric"] == "gradient_norm/old").any())
    old = " Old: between real and an earlier generator's samples." if has_old else ""
    said = (
        f"After the last step: mean over seeds, {MEAN.short}.{old}\n"
        f"A gradient penalty asks for norm 1 between {task.real} and {task.fake} samples, and nowhere else."
    )
    room = label_room(list(evidence.names.values()))
    title = f"Input-gradient norm of D, by place  ·  {evidence.title}"
    figure, axes = panels(
        len(kinds), 2, title, said, size=(3.9, max(2.4, LINE * len(evidence.constraints))), right=room
    )
    for kind, panel in zip(kinds, axes, strict=True):
        rows = final[final["metric"].str.startswith(f"{kind}/")]
        table = rows.assign(where=rows["metric"].str.partition("/")[2]).set_index(["constraint", "where"])
        found = set(table.index.get_level_values("where"))
        places = [place for place in WHERE if place in found] + sorted(found - set(WHERE))
        ends: dict[str, float] = {}
        for offset, name in zip(np.linspace(-0.26, 0.26, len(evidence.constraints)), evidence.constraints, strict=True):
            if name in table.index.get_level_values("constraint"):
                of_name = table.loc[name].reindex(places)
                _points(panel, of_name["mean"].to_numpy(), of_name["ci95"].to_numpy(), offset, evidence.styles[name])
                ends[name] = float(of_name["mean"].iloc[-1])
        scale(panel, rows["mean"])
        horizontal(panel, 1.0, "")
        panel.set_xlim(-0.5, len(places) - 0.5)
        panel.set_xticks(range(len(places)), [task.places.get(str(place), str(place)) for place in places])
        for edge in range(1, len(places)):
            panel.axvline(edge - 0.5, color="#e6e6e6", linewidth=0.6, zorder=0)
        panel.set_ylabel(_KINDS[kind])
    label_ends(
        figure,
        axes[-1],
        [(evidence.names[name], evidence.styles[name], ends.get(name)) for name in evidence.constraints],
    )
    return figure


def _points(panel: Axes, mean: np.ndarray, ci95: np.ndarray, offset: float, style: Style) -> None:
    x = np.arange(len(mean)) + offset
    panel.vlines(x, mean - np.nan_to_num(ci95), mean + np.nan_to_num(ci95), color=style.colour, linewidth=1, alpha=0.7)
    panel.plot(x, mean, color=style.colour, marker=style.marker, linestyle="", markersize=5.5)
