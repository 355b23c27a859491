"""Singular values of each layer's reshaped kernel after the last step: what a method does to the whole spectrum."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from lipschitz.report.plots.evidence import Evidence
from lipschitz.report.plots.labels import label_ends, label_room
from lipschitz.report.plots.panels import balanced, panels, scale

_SMALLEST = 1e-3
"""Singular values below this share of the layer's largest are not drawn: they would flatten the rest."""
_PREFIX = "spectrum/"
_SHADES = "cividis"
_COLUMNS = 8
_ROW = 0.16
"""Inches between two methods."""


def spectra(evidence: Evidence) -> Figure | None:
    """Return the descending singular values of each layer, one line a constraint, of one seed each."""
    found = {picture.constraint: picture for picture in evidence.pictures}
    layers = _layers(evidence)
    if not layers:
        return None
    said = _said(evidence)
    columns = balanced(len(layers), 4)
    title = f"Singular values by layer  ·  {evidence.title}"
    room = label_room(list(found))
    figure, axes = panels(len(layers), columns, title, said, size=(2.2, 1.7), gap=(0.5, 0.62), above=0.2, right=room)
    for index, (layer, panel) in enumerate(zip(layers, axes, strict=True)):
        lines = {name: picture.arrays[layer] for name, picture in found.items() if layer in picture.arrays}
        largest = max((float(line.max(initial=0)) for line in lines.values()), default=1.0)
        ends: dict[str, float] = {}
        for name, line in lines.items():
            values = np.where(np.isfinite(line) & (line > _SMALLEST * largest), line, np.nan)
            style = evidence.styles[name]
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
                ends[name] = float(shown[-1])
        scale(panel, np.concatenate([line[line > _SMALLEST * largest] for line in lines.values()]))
        panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        panel.grid(axis="y", color="#e6e6e6", linewidth=0.6)
        panel.set_title(layer.removeprefix(_PREFIX))
        panel.set_xlabel("Index" if index + columns >= len(layers) else "")
        panel.set_ylabel("Singular value" if index % columns == 0 else "")
        if index == columns - 1:
            label_ends(figure, panel, [(name, evidence.styles[name], ends.get(name)) for name in found])
    return figure


def normalised(evidence: Evidence) -> Figure | None:
    """Return the squared singular values of each layer over the largest as shades, a row a constraint, of one seed.

    Rows, where lines of many methods would all begin at one and hide each other: what concentrates is dark from the
    left on. The quantity is that of SN-GAN, arXiv:1802.05957, Figure 3.
    """
    pictures, layers = evidence.pictures, _layers(evidence)
    if not layers:
        return None
    names = [picture.constraint for picture in pictures]
    said = f"{_said(evidence)}\nEach squared, over the largest: dark from the left on where few directions are used."
    title = f"Squared singular values over the largest, by layer  ·  {evidence.title}"
    columns = balanced(len(layers), _COLUMNS)
    size = (1.2, _ROW * len(names))
    left = 0.25 + 0.066 * max(map(len, names))
    figure, axes = panels(
        len(layers), columns, title, said, size=size, gap=(0.14, 0.62), above=0.12, left=left, right=0.8
    )
    for index, (layer, panel) in enumerate(zip(layers, axes, strict=True)):
        shares = _shares([picture.arrays.get(layer, np.empty(0)) for picture in pictures])
        rows, values = shares.shape
        extent = (0.5, values + 0.5, rows - 0.5, -0.5)
        panel.imshow(shares, vmin=0, vmax=1, cmap=_SHADES, aspect="auto", interpolation="nearest", extent=extent)
        panel.set_yticks(range(rows), names if index % columns == 0 else [])
        panel.tick_params(axis="y", length=0)
        panel.xaxis.set_major_locator(MaxNLocator(3, integer=True))
        panel.set_title(layer.removeprefix(_PREFIX).removeprefix("blocks."), fontsize=8)
        panel.set_xlabel("Index" if index + columns >= len(layers) else "")
    _key(figure, axes[columns - 1])
    return figure


def _layers(evidence: Evidence) -> list[str]:
    """Return the layers that have a spectrum: one with one output has one singular value, and nothing to draw."""
    arrays = (item for picture in evidence.pictures for item in picture.arrays.items())
    return list(dict.fromkeys(key for key, values in arrays if key.startswith(_PREFIX) and values.size > 1))


def _said(evidence: Evidence) -> str:
    seeds = sorted({picture.seed for picture in evidence.pictures})
    return f"Reshaped kernels after the last step, largest first (seed {', '.join(map(str, seeds))})."


def _shares(spectra: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """Return ``(methods, values)``: squared singular values over the largest, NaN where there is none."""
    shares = np.full((len(spectra), max(len(values) for values in spectra)), np.nan)
    for row, values in zip(shares, spectra, strict=True):
        if values.size and np.isfinite(values).all() and values[0] > 0:
            row[: len(values)] = np.square(values / values[0])
    return shares


def _key(figure: Figure, panel: Axes) -> None:
    """Draw the scale of shades right of ``panel``."""
    width, height = figure.get_size_inches()
    place = panel.get_position()
    tall = 0.6 / height
    key = figure.add_axes((place.x1 + 0.15 / width, place.y1 - tall, 0.12 / width, tall))
    key.imshow(np.linspace(1, 0, 64)[:, None], cmap=_SHADES, aspect="auto", extent=(0, 1, 0, 1))
    key.set_xticks([])
    key.yaxis.tick_right()
    key.set_yticks([0, 0.5, 1])
