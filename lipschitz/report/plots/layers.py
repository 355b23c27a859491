"""Curves by layer: σ of the true operator and of the reshaped kernel, and the effective rank, against steps."""

from collections.abc import Callable
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lipschitz.report.plots.curves import DASHES, axis, draw, explained, heading_of, label, room
from lipschitz.report.plots.evidence import Evidence
from lipschitz.report.plots.panels import balanced, panels, scale


def sigma(evidence: Evidence) -> Figure | None:
    """Return σ of each layer against steps: of the true operator (solid) and of the reshaped kernel (dashed)."""
    said = f"Solid: of the true operator. Dashed: of the reshaped kernel. {explained(evidence)}"
    return _by_layer(evidence, "sigma_operator", "sigma_reshaped", "σ by layer", said, "σ")


def effective_rank(evidence: Evidence) -> Figure | None:
    """Return the effective rank of each layer's reshaped kernel against steps, on axes that start at zero."""
    said = f"Exponential of the entropy of the singular values of the reshaped kernel. {explained(evidence)}"
    return _by_layer(evidence, "effective_rank", None, "Effective rank by layer", said, "Rank", _from_zero)


def _from_zero(panel: Axes, values: Any) -> None:
    # A change of a hundredth of a rank is none.
    panel.set_ylim(0, 1.1 * max(values, default=1.0))


def _by_layer(
    evidence: Evidence,
    solid: str,
    dashed: str | None,
    what: str,
    said: str,
    y_label: str,
    scaled: Callable[[Axes, Any], None] = scale,
) -> Figure | None:
    heads = tuple(f"{metric}/" for metric in (solid, dashed) if metric)
    layers = list(dict.fromkeys(name.partition("/")[2] for name in evidence.metrics if name.startswith(heads)))
    if not layers:
        return None
    columns = balanced(len(layers), 4)
    figure, axes = panels(
        len(layers),
        columns,
        heading_of(what, evidence),
        said,
        size=(2.2, 1.7),
        gap=(0.5, 0.62),
        above=0.2,
        right=room(evidence),
    )
    curves = evidence.curves[evidence.curves["metric"].str.startswith(heads)]
    by_metric = dict(list(curves.groupby("metric", sort=False)))
    for index, (layer, panel) in enumerate(zip(layers, axes, strict=True)):
        lines = by_metric.get(f"{solid}/{layer}", curves.iloc[:0])
        others = by_metric.get(f"{dashed}/{layer}", curves.iloc[:0])
        ends = draw(panel, evidence, lines, evidence.broken[evidence.broken["metric"] == f"{solid}/{layer}"])
        for name, group in others.groupby("constraint", sort=False):
            colour = evidence.styles[str(name)].colour
            panel.plot(group["step"], group["mean"], color=colour, linewidth=1, linestyle=DASHES)
        scaled(panel, pd.concat([lines["mean"], others["mean"]]))
        panel.set_title(layer)
        axis(panel, "Step" if index + columns >= len(layers) else "", y_label if index % columns == 0 else "")
        if index == columns - 1:
            label(figure, panel, evidence, ends)
    return figure
