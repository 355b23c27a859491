"""Plot by layer: σ of the true operator and of the reshaped kernel, final and over training, and the effective rank."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lipschitz.report.plots.base import plot
from lipschitz.report.plots.data import ComparisonData
from lipschitz.report.plots.facets import MOST_LINES, facet_grid, facets
from lipschitz.report.plots.heat_map import COLUMN, heat_map, label_height
from lipschitz.report.plots.lines import (
    DASHES,
    draw_lines,
    figure_title,
    label_axes,
    label_constraints,
    lines_note,
)
from lipschitz.report.plots.panels import columns_of, fit_y_axis, panels
from lipschitz.report.plots.rows import Rows
from lipschitz.report.reading.metric_names import parse_metric

_OPERATOR, _KERNEL = "sigma_operator", "sigma_reshaped"
_PARTS = {_OPERATOR: "true operator", _KERNEL: "reshaped kernel"}
_WIDEST = 1.5
"""Powers of ten from one at which a shade of σ is full."""
_SAME = 1e-3
"""Largest relative difference of σ of operator and kernel at which both are the same: without convolutions."""
_RANK_SHADES = "Greens"
_MOST_SIDE_BY_SIDE = 9
_ROW = 0.19


def sigma_table(data: ComparisonData) -> pd.DataFrame:
    """Return σ of every layer over training: constraint, layer, part, step, n, mean, low, high."""
    return _by_layer(data.curves, list(_PARTS)).rename(columns={"base": "part"})


def rank_table(data: ComparisonData) -> pd.DataFrame:
    """Return the effective rank of every layer after the last step: constraint, layer, n, mean, low, high."""
    return _by_layer(data.final, ["effective_rank"]).drop(columns=["base", "step"])


@plot("σ by layer, at the end", order=50, table=sigma_table)
def sigma(data: ComparisonData) -> Figure | None:
    """Return σ of each layer after the last step as a heat map, of the true operator and of the reshaped kernel."""
    tables = {part: _table(data, part) for part in _PARTS}
    tables = {part: table for part, table in tables.items() if not table.empty}
    if not tables:
        return None
    note = "White: 1; red: above; blue: below."
    both = [table.to_numpy(float) for table in tables.values()]
    if len(both) == 2 and np.allclose(both[0], both[1], rtol=_SAME, equal_nan=True):
        del tables[_KERNEL]
        note += "\nσ of the reshaped kernel is the same: no layer is a convolution."
    titled = {_PARTS[part]: table for part, table in tables.items()}
    return _heat_maps(data, "σ by layer", note, titled, _around_one, "RdBu_r")


@plot("Effective rank by layer", order=90, table=rank_table)
def effective_rank(data: ComparisonData) -> Figure | None:
    """Return the effective rank of each layer's reshaped kernel after the last step as a heat map."""
    table = _table(data, "effective_rank")
    if table.empty:
        return None
    note = (
        "\nExponential of the entropy of the reshaped kernel's singular values. Shade: over the largest of the layer."
    )
    return _heat_maps(data, "Effective rank by layer", note, {"": table}, _over_largest, _RANK_SHADES)


@plot("σ by layer and step", order=55, table=sigma_table)
def sigma_by_step(data: ComparisonData) -> Figure | None:
    """Return σ of each layer against steps: of the operator, solid, and of the kernel, dashed; None of many methods."""
    names = [name for name in map(parse_metric, data.metrics) if name.base in _PARTS]
    layers = list(dict.fromkeys(name.place for name in names))
    if not layers or len(data.constraints) > MOST_LINES:
        return None
    subtitle = f"Solid: σ of the true operator. Dashed: σ of the reshaped kernel. {lines_note(data)}"
    figure, cells = facet_grid(
        facets(data.constraints),
        {layer: layer for layer in layers},
        data.labels,
        figure_title("σ by layer", data),
        subtitle,
        most_columns=4,
        size=(2.2, 1.7),
        margin=0.6,
        above=0.2,
    )
    by_metric = dict(list(data.curves.groupby("metric", sort=False)))
    columns = columns_of(figure.axes)
    for place, (_, layer, panel, _, _, is_labelled) in enumerate(cells):
        lines = by_metric.get(f"{_OPERATOR}/{layer}", data.curves.iloc[:0])
        others = by_metric.get(f"{_KERNEL}/{layer}", data.curves.iloc[:0])
        last = draw_lines(panel, data, lines, data.diverged[data.diverged["metric"] == f"{_OPERATOR}/{layer}"])
        for name, group in others.groupby("constraint", sort=False):
            colour = data.styles[str(name)].colour
            panel.plot(group["step"], group["mean"], color=colour, linewidth=1, linestyle=DASHES)
        fit_y_axis(panel, pd.concat([lines["mean"], others["mean"]]))
        panel.set_title(layer)
        label_axes(panel, "Step" if place + columns >= len(cells) else "", "σ" if place % columns == 0 else "")
        if is_labelled:
            label_constraints(figure, panel, data, last)
    return figure


def _heat_maps(
    data: ComparisonData,
    title: str,
    note: str,
    tables: dict[str, pd.DataFrame],
    shade: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    shades: str,
) -> Figure:
    """Return one heat map a table; all have the same layers."""
    kind = "mean" if shades == _RANK_SHADES else "geometric mean"
    first = next(iter(tables.values()))
    rows, layers = Rows.of([data.labels[name] for name in first.index], _ROW), _short(list(first.columns))
    figure, axes = panels(
        len(tables),
        2 if len(layers) <= _MOST_SIDE_BY_SIDE else 1,
        figure_title(title, data),
        f"After the last step, {data.mean_over_seeds(kind)}. {note}",
        size=(COLUMN * len(layers), rows.tall()),
        gap=(0.25, 0.35 + label_height(layers)),
        left=rows.margin,
        bottom=label_height(layers),
        above=0.2 if len(tables) > 1 else 0.0,
        height="rows",
    )
    for place, (panel, (part, table)) in enumerate(zip(axes, tables.items(), strict=True)):
        values = table.to_numpy(float)
        heat_map(panel, values, shade, shades, rows, layers, has_labels=place % columns_of(axes) == 0)
        panel.set_title(part if len(tables) > 1 else "")
    return figure


def _table(data: ComparisonData, part: str) -> pd.DataFrame:
    """Return the final means of a metric of layers: a row a constraint, a column a layer."""
    rows = _by_layer(data.final, [part])
    table = rows.pivot_table(index="constraint", columns="layer", values="mean", sort=False, dropna=False)
    found = [name for name in data.constraints if name in table.index]
    return table.reindex(index=found, columns=list(dict.fromkeys(rows["layer"])))


def _by_layer(frame: pd.DataFrame, bases: list[str]) -> pd.DataFrame:
    """Return the rows of metrics of layers, with columns constraint, layer, base, step, n, mean, low, high."""
    parsed = {name: parse_metric(name) for name in frame["metric"].unique()}
    rows = frame[frame["metric"].map(lambda name: parsed[name].base in bases).astype(bool)]
    rows = rows.assign(
        layer=[parsed[name].place for name in rows["metric"]], base=[parsed[name].base for name in rows["metric"]]
    )
    return rows[["constraint", "layer", "base", "step", "n", "mean", "low", "high"]]


def _short(layers: Sequence[str]) -> list[str]:
    return [layer.removeprefix("blocks.") for layer in layers]


def _around_one(values: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log10(values)
    # Half of the colour map is enough for a number to be read on it.
    shares: NDArray[np.float64] = 0.5 + 0.4 * np.clip(logs / _WIDEST, -1, 1)
    return shares


def _over_largest(values: NDArray[np.float64]) -> NDArray[np.float64]:
    largest = np.nanmax(np.where(np.isfinite(values), values, 0.0), axis=0)
    shares: NDArray[np.float64] = 0.8 * values / np.where(largest > 0, largest, 1.0)
    return shares
