"""The discriminator's values over the plane, with the points it has to tell apart."""

import numpy as np
from matplotlib.figure import Figure

from lipschitz.report.digits import show
from lipschitz.report.plots.evidence import Evidence
from lipschitz.report.plots.samples import panel_title, picture_panels

_POINTS = 300


def surface(evidence: Evidence) -> Figure | None:
    """Return one panel a constraint: values of D as colour and level lines, real points dark, generated ones light.

    Each panel has its own range of values, written below it: what a constraint bounds is how steep the surface is.
    """
    pictures = [picture for picture in evidence.pictures if "surface" in picture.arrays]
    if not pictures:
        return None
    title = f"Value surface of D  ·  {evidence.comparison.title()}"
    said = "D after the last step as colour and level lines, each over its own range. Black: real. White: generated."
    figure, axes = picture_panels([panel_title(picture) for picture in pictures], title, said)
    for picture, panel in zip(pictures, axes, strict=True):
        values = picture.arrays["surface"]
        left, right, low, high = map(float, picture.arrays["surface_extent"])
        extent = (left, right, low, high)
        panel.imshow(values, origin="lower", extent=extent, cmap="cividis", interpolation="bilinear")
        if np.isfinite(values).all() and np.ptp(values) > 0:
            panel.contour(values, levels=8, origin="lower", extent=extent, colors="white", linewidths=0.4, alpha=0.6)
        for key, colour, edge in (("real", "black", "none"), ("samples", "white", "black")):
            if key in picture.arrays:
                points = picture.arrays[key][:_POINTS]
                panel.scatter(
                    points[:, 0], points[:, 1], s=5, color=colour, edgecolors=edge, linewidths=0.3, rasterized=True
                )
        panel.set(xlim=(left, right), ylim=(low, high), xticks=[], yticks=[])
        finite = values[np.isfinite(values)]
        panel.set_xlabel(
            f"D from {show(float(finite.min()))} to {show(float(finite.max()))}" if finite.size else "D not finite"
        )
    return figure
