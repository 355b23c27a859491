"""Singular values of each layer's reshaped kernel after the last step: what a method does to the whole spectrum."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lipschitz.report.plots.evidence import Evidence
from lipschitz.report.plots.labels import label_ends, label_room
from lipschitz.report.plots.panels import balanced, panels, scale

_SMALLEST = 1e-3
"""Singular values below this share of the layer's largest are not drawn: they would flatten the rest."""


def spectra(evidence: Evidence) -> Figure | None:
    """Return the descending singular values of each layer, one line a constraint, of one seed each."""
    found = {picture.constraint: picture for picture in evidence.pictures}
    prefix = "spectrum/"
    # A layer with one output has one singular value: nothing to draw.
    layers = dict.fromkeys(
        key
        for picture in found.values()
        for key, values in picture.arrays.items()
        if key.startswith(prefix) and values.size > 1
    )
    if not layers:
        return None
    seeds = sorted({picture.seed for picture in found.values()})
    said = f"Reshaped kernels after the last step, largest first (seed {', '.join(map(str, seeds))})."
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
        panel.set_title(layer.removeprefix(prefix))
        panel.set_xlabel("Index" if index + columns >= len(layers) else "")
        panel.set_ylabel("Singular value" if index % columns == 0 else "")
        if index == columns - 1:
            label_ends(figure, panel, [(name, evidence.styles[name], ends.get(name)) for name in found])
    return figure
