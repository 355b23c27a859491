"""Plot by layer: σ of the true operator and of the reshaped kernel over training, and the final effective rank."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lipschitz.report.plots.base import plot
from lipschitz.report.plots.data import ComparisonData
from lipschitz.report.plots.lines import (
    DASHES,
    LABEL_HEIGHT,
    constraints_margin,
    draw_lines,
    figure_title,
    label_axes,
    label_constraints,
    lines_note,
)
from lipschitz.report.plots.panels import balanced_columns, fit_y_axis, panels
from lipschitz.report.reading.metric_names import base, parse_metric


@plot("σ by layer and step", order=50)
def sigma(data: ComparisonData) -> Figure | None:
    """Return σ of each layer against steps: of the true operator (solid) and of the reshaped kernel (dashed)."""
    solid, dashed = "sigma_operator", "sigma_reshaped"
    names = [name for name in map(parse_metric, data.metrics) if name.base in (solid, dashed)]
    layers = list(dict.fromkeys(name.place for name in names))
    if not layers:
        return None
    columns = balanced_columns(len(layers), 4)
    figure, axes = panels(
        len(layers),
        columns,
        figure_title("σ by layer", data),
        f"Solid: σ of the true operator. Dashed: σ of the reshaped kernel. {lines_note(data)}",
        size=(2.2, 1.7),
        gap=(0.5, 0.62),
        above=0.2,
        right=constraints_margin(data),
    )
    curves = data.curves[data.curves["metric"].isin([name.full for name in names])]
    by_metric = dict(list(curves.groupby("metric", sort=False)))
    for index, (layer, panel) in enumerate(zip(layers, axes, strict=True)):
        lines = by_metric.get(f"{solid}/{layer}", curves.iloc[:0])
        others = by_metric.get(f"{dashed}/{layer}", curves.iloc[:0])
        last = draw_lines(panel, data, lines, data.diverged[data.diverged["metric"] == f"{solid}/{layer}"])
        for name, group in others.groupby("constraint", sort=False):
            colour = data.styles[str(name)].colour
            panel.plot(group["step"], group["mean"], color=colour, linewidth=1, linestyle=DASHES)
        fit_y_axis(panel, pd.concat([lines["mean"], others["mean"]]))
        panel.set_title(layer)
        label_axes(panel, "Step" if index + columns >= len(layers) else "", "σ" if index % columns == 0 else "")
        if index == columns - 1:
            label_constraints(figure, panel, data, last)
    return figure


@plot("Effective rank by layer", order=90)
def effective_rank(data: ComparisonData) -> Figure | None:
    """Return the effective rank of each layer's reshaped kernel after the last step, in one panel from zero up."""
    final = data.final[data.final["metric"].map(base) == "effective_rank"]
    if final.empty:
        return None
    final = final.assign(layer=[parse_metric(name).place for name in final["metric"]])
    layers = list(dict.fromkeys(final["layer"]))
    subtitle = (
        "Exponential of the entropy of the reshaped kernel's singular values, after the last step; mean over seeds."
    )
    size = (max(3.4, 0.75 * len(layers)), max(2.4, LABEL_HEIGHT * len(data.constraints)))
    figure, (panel,) = panels(
        1, 1, figure_title("Effective rank by layer", data), subtitle, size=size, right=constraints_margin(data)
    )
    last: dict[str, float] = {}
    offsets = np.linspace(-0.26, 0.26, len(data.constraints))
    for offset, name in zip(offsets, data.constraints, strict=True):
        rows = final[final["constraint"] == name].set_index("layer")["mean"]
        if rows.empty:
            continue
        means = rows.reindex(layers).to_numpy(float)
        style = data.styles[name]
        panel.plot(np.arange(len(layers)) + offset, means, color=style.colour, marker=style.marker, linestyle="")
        last[name] = float(means[-1])
    panel.set_ylim(0, 1.1 * float(final["mean"].max()))
    panel.set_xlim(-0.5, len(layers) - 0.5)
    panel.set_xticks(range(len(layers)), [layer.removeprefix("blocks.") for layer in layers])
    panel.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    panel.set_ylabel("Rank")
    label_constraints(figure, panel, data, last)
    return figure
