"""By layer: σ of the true operator and of the reshaped kernel through training, and the effective rank at its end."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lipschitz.report.plots.evidence import Evidence
from lipschitz.report.plots.labels import LINE
from lipschitz.report.plots.lines import DASHES, axis, draw, explained, heading_of, label, room
from lipschitz.report.plots.panels import balanced, panels, scale


def sigma(evidence: Evidence) -> Figure | None:
    """Return σ of each layer against steps: of the true operator (solid) and of the reshaped kernel (dashed)."""
    said = f"Solid: of the true operator. Dashed: of the reshaped kernel. {explained(evidence)}"
    return _by_layer(evidence, "sigma_operator", "sigma_reshaped", "σ by layer", said, "σ")


def effective_rank(evidence: Evidence) -> Figure | None:
    """Return the effective rank of each layer's reshaped kernel after the last step, in one panel from zero up."""
    final = evidence.final[evidence.final["metric"].str.startswith("effective_rank/")]
    if final.empty:
        return None
    layers = [name.partition("/")[2] for name in dict.fromkeys(final["metric"])]
    said = (
        "Exponential of the entropy of the singular values of the reshaped kernel, after the last step; mean of seeds."
    )
    size = (max(3.4, 0.75 * len(layers)), max(2.4, LINE * len(evidence.constraints)))
    figure, (panel,) = panels(
        1, 1, heading_of("Effective rank by layer", evidence), said, size=size, right=room(evidence)
    )
    ends: dict[str, float] = {}
    offsets = np.linspace(-0.26, 0.26, len(evidence.constraints))
    for offset, name in zip(offsets, evidence.constraints, strict=True):
        rows = final[final["constraint"] == name].set_index("metric")["mean"]
        if rows.empty:
            continue
        means = rows.reindex([f"effective_rank/{layer}" for layer in layers]).to_numpy(float)
        style = evidence.styles[name]
        panel.plot(np.arange(len(layers)) + offset, means, color=style.colour, marker=style.marker, linestyle="")
        ends[name] = float(means[-1])
    panel.set_ylim(0, 1.1 * float(final["mean"].max()))
    panel.set_xlim(-0.5, len(layers) - 0.5)
    panel.set_xticks(range(len(layers)), [layer.removeprefix("blocks.") for layer in layers])
    panel.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    panel.set_ylabel("Rank")
    label(figure, panel, evidence, ends)
    return figure


def _by_layer(
    evidence: Evidence,
    solid: str,
    dashed: str | None,
    what: str,
    said: str,
    y_label: str,
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
        scale(panel, pd.concat([lines["mean"], others["mean"]]))
        panel.set_title(layer)
        axis(panel, "Step" if index + columns >= len(layers) else "", y_label if index % columns == 0 else "")
        if index == columns - 1:
            label(figure, panel, evidence, ends)
    return figure
