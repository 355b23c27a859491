"""What each method generates: images as a mosaic, of a conditional run class by class, points over the real ones."""

import re
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lipschitz.report.plots.evidence import Evidence, Pictures
from lipschitz.report.plots.panels import panels
from lipschitz.report.style import GREY, REAL, Style

_MOSAIC = (6, 6)
_SIDE = 2.1
_CHARACTERS = 33
_NAME = 20
"""Most characters of a class's name."""
_EVERY = "every panel of one seed"
_TILE = 0.33
"""Inches of an image in a grid: at the resolution of PNG files, a pixel for each of 32, and one between."""
_POINTS = 1000
"""Points drawn of each set: enough to see its shape, few enough for a light file."""


def samples(evidence: Evidence) -> Figure | None:
    """Return a panel of real data and one of each constraint's samples after its last step."""
    pictures = [picture for picture in evidence.pictures if "samples" in picture.arrays]
    if not pictures:
        return None
    titles = [REAL, *(panel_title(picture) for picture in pictures)]
    title = f"Samples  ·  {evidence.title}"
    # Runs of early versions say no labels, and were drawn as any other.
    if all("labels" in picture.arrays for picture in pictures):
        return _grids(evidence, pictures, titles, title)
    images = pictures[0].arrays["samples"].ndim == 4
    draw = _images if images else _points
    where = "" if images else ", over real points in grey"
    said = f"After the last step{where}. Generated from the same latents{', place by place,' * images} in {_EVERY}."
    figure, axes = picture_panels(titles, title, said)
    real = pictures[0].arrays.get("real")
    draw(axes[0], None, real, Style(GREY, "."))
    for picture, panel in zip(pictures, axes[1:], strict=True):
        draw(panel, picture.arrays["samples"], real, evidence.styles[picture.constraint])
    return figure


def _grids(evidence: Evidence, pictures: list[Pictures], titles: list[str], title: str) -> Figure:
    """Return a grid of real images and one of each conditional run: a row of each class, a column of each latent."""
    shared = pictures[0].arrays
    classes = np.unique(shared["labels"])
    shape = (len(classes), len(shared["labels"]) // len(classes))
    names = [_shortened(str(name)) for name in shared.get("class_names", classes)]
    said = f"After the last step. A row is a class, a column one latent, the same in every row and in {_EVERY}."
    size = (_TILE * shape[1], _TILE * shape[0])
    margin = 0.2 + 0.065 * max(map(len, names))
    figure, axes = picture_panels(titles, title, said, size=size, left=margin)
    looks = [Style(GREY, "."), *(evidence.styles[picture.constraint] for picture in pictures)]
    sheets = [shared["real"], *(picture.arrays["samples"] for picture in pictures)]
    leftmost = min(panel.get_position().x0 for panel in axes)
    for panel, images, style in zip(axes, sheets, looks, strict=True):
        _sheet(panel, mosaic(images, shape), style)
        if panel.get_position().x0 == leftmost:
            height = images.shape[1] + 1
            panel.set_yticks([height * row + height / 2 - 1 for row in range(len(names))], names, fontsize=7)
            panel.tick_params(axis="y", length=0, pad=3)
    return figure


def _shortened(name: str) -> str:
    return name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"


def picture_panels(
    titles: list[str], title: str, said: str, *, size: tuple[float, float] = (_SIDE, _SIDE), left: float = 0.2
) -> tuple[Figure, list[Axes]]:
    """Return a figure with a panel of ``size`` inches under each of ``titles``, with room for the longest of them."""
    lines = 0.14 * (1 + max(text.count("\n") for text in titles))
    columns = 3 if len(titles) < 7 else 4
    figure, axes = panels(
        len(titles),
        columns,
        title,
        said,
        size=size,
        gap=(0.25, 0.35 + lines),
        left=left,
        bottom=0.3,
        above=lines,
        below=0.06,
    )
    for text, panel in zip(titles, axes, strict=True):
        panel.set_title(text, fontsize=8)
    return figure, axes


def panel_title(picture: Pictures) -> str:
    """Return the constraint, the seed, and that it diverged where it did, in lines that fit a panel."""
    return wrapped(f"{picture.constraint}, {seed_of(picture)}")


def seed_of(picture: Pictures) -> str:
    """Return which run a picture is of, and that it diverged where it did."""
    return f"seed {picture.seed}" + (", diverged" if picture.status == "diverged" else "")


def wrapped(text: str) -> str:
    """Return ``text`` in lines that fit a panel, broken where a reader would break it."""
    lines = [""]
    for part in re.findall(r"[^ (+]+[ (+]*", text):
        if len(lines[-1]) + len(part.rstrip()) > _CHARACTERS:
            lines.append("")
        lines[-1] += part
    return "\n".join(line for line in lines if line)


def limits(real: NDArray[Any] | None) -> tuple[float, float]:
    """Return the range, the same on both axes, that shows the real points with a margin of a third."""
    extent = 1.35 * float(np.abs(real).max()) if real is not None and real.size else 1.0
    return -extent, extent


def _points(panel: Axes, generated: NDArray[Any] | None, real: NDArray[Any] | None, style: Style) -> None:
    for points, colour, alpha in ((real, "#b9b9b9", 1.0 if generated is None else 0.6), (generated, style.colour, 0.6)):
        if points is not None:
            panel.scatter(
                points[:_POINTS, 0], points[:_POINTS, 1], s=3, color=colour, alpha=alpha, linewidths=0, rasterized=True
            )
    low, high = limits(real)
    panel.set(xlim=(low, high), ylim=(low, high), xticks=[], yticks=[])
    if generated is not None and (outside := np.mean((np.abs(generated) > high).any(axis=1))) >= 0.01:
        panel.set_xlabel(f"{outside:.0%} lie outside")
    panel.spines[:].set_visible(False)


def _images(panel: Axes, generated: NDArray[Any] | None, real: NDArray[Any] | None, style: Style) -> None:
    shown = real if generated is None else generated
    _sheet(panel, None if shown is None or not len(shown) else mosaic(shown), style)


def _sheet(panel: Axes, sheet: NDArray[np.uint8] | None, style: Style) -> None:
    panel.set(xticks=[], yticks=[])
    panel.spines[:].set(visible=True, color=style.colour, linewidth=1.5)
    if sheet is not None:
        panel.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="auto")


def mosaic(images: NDArray[np.uint8], shape: tuple[int, int] = _MOSAIC) -> NDArray[np.uint8]:
    """Return the first images (n, h, w, c), row by row, as one picture (H, W) or (H, W, 3), grey between them.

    ``shape`` is how many rows and columns it has.
    """
    rows, columns = shape
    _, height, width, channels = images.shape
    sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1, channels), 128, dtype=np.uint8)
    for index, image in enumerate(images[: rows * columns]):
        y, x = (place * (side + 1) for place, side in zip(divmod(index, columns), (height, width), strict=True))
        sheet[y : y + height, x : x + width] = image
    return sheet[..., 0] if channels == 1 else sheet[..., :3]
