"""The discriminator's values over the plane, with the points it has to tell apart."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lipschitz.report.number_format import show
from lipschitz.report.plots.evidence import Evidence
from lipschitz.report.plots.samples import panel_title, picture_panels

_POINTS = 300
_MOST_LEVELS = 80
"""Level lines above which a panel would be white."""


def surface(evidence: Evidence) -> Figure | None:
    """Return one panel a constraint: values of D as colour and level lines, real points dark, generated ones light.

    Each panel has its own range of values, written below it: what a constraint bounds is how steep the surface is.
    """
    pictures = [picture for picture in evidence.pictures if "samples" in picture.arrays and "surface" in picture.arrays]
    if not pictures:
        return None
    title = f"Value surface of D  ·  {evidence.title}"
    said = "D after the last step as colour and level lines, each over its own range. Black: real. White: generated."
    figure, axes = picture_panels([panel_title(picture) for picture in pictures], title, said)
    for picture, panel in zip(pictures, axes, strict=True):
        points = {key: picture.arrays.get(key) for key in ("real", "samples")}
        draw(panel, picture.arrays["surface"], picture.arrays["surface_extent"], points["real"], points["samples"])
    return figure


def draw(
    panel: Axes,
    values: NDArray[Any],
    frame: NDArray[Any],
    dark: NDArray[Any] | None,
    light: NDArray[Any] | None,
    name: str = "D",
    spacing: float | None = None,
) -> None:
    """Draw values over the plane as colour and level lines, and points dark and light, if any, over them.

    Args:
        panel: where to draw.
        values: ``(rows, columns)``; rows go up.
        frame: ``(xmin, xmax, ymin, ymax)``.
        dark: ``(n, 2)``.
        light: ``(n, 2)``.
        name: of the function, for the line below that says its range.
        spacing: how far level lines are apart, which then are all solid; by default eight are spread over the values,
            dashed below zero.
    """
    left, right, low, high = map(float, frame)
    extent = (left, right, low, high)
    panel.imshow(values, origin="lower", extent=extent, cmap="cividis", interpolation="bilinear")
    levels = 8 if spacing is None else _levels(values, spacing)
    if np.isfinite(values).all() and np.ptp(values) > 0 and levels:
        panel.contour(
            values,
            levels=levels,
            origin="lower",
            extent=extent,
            colors="white",
            linestyles=None if spacing is None else "solid",
            linewidths=0.4,
            alpha=0.6,
        )
    for points, colour, edge in ((dark, "black", "none"), (light, "white", "black")):
        if points is not None:
            panel.scatter(
                points[:_POINTS, 0],
                points[:_POINTS, 1],
                s=5,
                color=colour,
                edgecolors=edge,
                linewidths=0.3,
                rasterized=True,
            )
    panel.set(xlim=(left, right), ylim=(low, high), xticks=[], yticks=[])
    finite = values[np.isfinite(values)]
    said = f"from {show(float(finite.min()))} to {show(float(finite.max()))}" if finite.size else "not finite"
    panel.set_xlabel(f"{name} {said}")


def _levels(values: NDArray[Any], spacing: float) -> list[float]:
    """Return the multiples of ``spacing`` within the range of ``values``: none where they would fill the panel."""
    low, high = float(values.min()) / spacing, float(values.max()) / spacing
    if not math.isfinite(high - low) or high - low > _MOST_LEVELS:
        return []
    return [spacing * number for number in range(math.ceil(low), math.floor(high) + 1)]
