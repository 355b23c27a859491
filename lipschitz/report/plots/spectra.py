"""Plot all singular values of each layer's reshaped kernel after the last step: as lines, and normalised as shades."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from lipschitz.errors import printable
from lipschitz.report.plots.base import plot
from lipschitz.report.plots.data import ComparisonData
from lipschitz.report.plots.facets import MOST_LINES
from lipschitz.report.plots.lines import LABEL_HEIGHT, figure_title, label_lines, label_margin
from lipschitz.report.plots.look import points
from lipschitz.report.plots.panels import columns_of, fit_y_axis, panels
from lipschitz.report.plots.rows import Rows

_SMALLEST = 1e-3
"""Singular values below this share of the layer's largest are not drawn: they would flatten the other lines."""
_PREFIX = "spectrum/"
_SHADES = "cividis"
_COLUMNS = 8
_ROW = 0.16
"""Inches between two methods."""


@plot("Final singular values by layer", order=100)
def spectra(data: ComparisonData) -> Figure | None:
    """Return the descending singular values of each layer, one line a constraint, of one seed; None of many methods."""
    found = {run.constraint: run for run in data.run_arrays}
    layers = _layers(data)
    if not layers or len(found) > MOST_LINES:
        return None
    figure, axes = panels(
        len(layers),
        4,
        figure_title("Singular values by layer", data),
        _subtitle(data),
        size=(2.2, max(1.7, LABEL_HEIGHT * len(found))),
        gap=(0.5, 0.62),
        above=0.2,
        right=label_margin([data.results.shown(name) for name in found]),
    )
    columns = columns_of(axes)
    for index, (layer, panel) in enumerate(zip(layers, axes, strict=True)):
        lines = {name: run.arrays[layer] for name, run in found.items() if layer in run.arrays}
        largest = max((float(line.max(initial=0)) for line in lines.values()), default=1.0)
        last: dict[str, float] = {}
        for name, line in lines.items():
            values = np.where(np.isfinite(line) & (line > _SMALLEST * largest), line, np.nan)
            style = data.styles[name]
            every = max(1, len(values) // 6)
            panel.plot(
                np.arange(1, len(values) + 1),
                values,
                color=style.colour,
                marker=style.marker,
                markevery=every,
                linewidth=1.2,
            )
            shown = values[np.isfinite(values)]
            if shown.size:
                last[name] = float(shown[-1])
        fit_y_axis(panel, np.concatenate([line[line > _SMALLEST * largest] for line in lines.values()]))
        panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        panel.grid(axis="y", color="#e6e6e6", linewidth=0.6)
        panel.set_title(printable(layer.removeprefix(_PREFIX)))
        panel.set_xlabel("Index" if index + columns >= len(layers) else "")
        panel.set_ylabel("Singular value" if index % columns == 0 else "")
        if index == columns - 1:
            label_lines(
                figure, panel, [(data.results.shown(name), data.styles[name], last.get(name)) for name in found]
            )
    return figure


@plot("Final squared singular values over the largest, by layer", order=110)
def spectra_normalised(data: ComparisonData) -> Figure | None:
    """Return the squared singular values of each layer over the largest as shades, a row a constraint, of one seed.

    Lines of many methods would all begin at one and hide each other, so that each method is a row of shades here. A
    spectrum that is concentrated in few directions is dark from the left on. The quantity is that of Miyato et al.
    2018, arXiv:1802.05957, Figure 3.
    """
    runs, layers = data.run_arrays, _layers(data)
    if not layers:
        return None
    methods = Rows.of([data.results.shown(run.constraint) for run in runs], _ROW)
    subtitle = (
        f"{_subtitle(data)}\n"
        "Shade: squared value over the largest. A row is dark from the left on where few directions are used."
    )
    title = figure_title("Squared singular values over the largest, by layer", data)
    figure, axes = panels(
        len(layers),
        _COLUMNS,
        title,
        subtitle,
        size=(1.2, methods.tall()),
        gap=(0.14, 0.62),
        above=0.2,
        left=methods.margin,
        right=0.8,
        height="rows",
    )
    columns = columns_of(axes)
    for index, (layer, panel) in enumerate(zip(layers, axes, strict=True)):
        shares = _shares([run.arrays.get(layer, np.empty(0)) for run in runs])
        x = np.arange(shares.shape[1] + 1) + 0.5
        panel.pcolormesh(x, methods.edges, shares, vmin=0, vmax=1, cmap=_SHADES, rasterized=True)
        methods.label(panel, shown=index % columns == 0)
        panel.xaxis.set_major_locator(MaxNLocator(3, integer=True))
        panel.set_title(printable(layer.removeprefix(_PREFIX).removeprefix("blocks.")), fontsize=points(8))
        panel.set_xlabel("Index" if index + columns >= len(layers) else "")
    _draw_key(figure, axes[columns - 1])
    return figure


def _layers(data: ComparisonData) -> list[str]:
    """Return the layers that have a spectrum; a layer with one singular value has nothing to draw."""
    arrays = (item for run in data.run_arrays for item in run.arrays.items())
    return list(dict.fromkeys(key for key, values in arrays if key.startswith(_PREFIX) and values.size > 1))


def _subtitle(data: ComparisonData) -> str:
    seeds = sorted({run.seed for run in data.run_arrays})
    return f"Reshaped kernels after the last step, largest first (seed {', '.join(map(str, seeds))})."


def _shares(spectra: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """Return ``(methods, values)``: squared singular values over the largest, NaN where there is none."""
    shares = np.full((len(spectra), max(len(values) for values in spectra)), np.nan)
    for row, values in zip(shares, spectra, strict=True):
        if values.size and np.isfinite(values).all() and values[0] > 0:
            row[: len(values)] = np.square(values / values[0])
    return shares


def _draw_key(figure: Figure, panel: Axes) -> None:
    """Draw the colour scale right of ``panel``."""
    width, height = figure.get_size_inches()
    position = panel.get_position()
    tall = 0.6 / height
    key = figure.add_axes((position.x1 + 0.15 / width, position.y1 - tall, 0.12 / width, tall))
    key.imshow(np.linspace(1, 0, 64)[:, None], cmap=_SHADES, aspect="auto", extent=(0, 1, 0, 1))
    key.set_xticks([])
    key.yaxis.tick_right()
    key.set_yticks([0, 0.5, 1])
