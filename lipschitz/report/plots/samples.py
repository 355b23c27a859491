"""Plot the samples of each method: images as a mosaic, by class for conditional runs; points over the real points."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lipschitz.errors import printable
from lipschitz.report.plots.base import plot
from lipschitz.report.plots.data import ComparisonData, RunArrays
from lipschitz.report.plots.lines import figure_title
from lipschitz.report.plots.look import points as text_size
from lipschitz.report.plots.panels import panels
from lipschitz.report.style import GREY, REAL, Style

_MOSAIC = (6, 6)
"""Rows and columns of a mosaic of images without labels."""
_SIDE = 2.1
"""Side of a panel, in inches."""
_COLUMNS = ((6, 3), (16, 4))
"""Most panels, and their columns."""
_MANY_COLUMNS, _MANY_SIDE = 6, 0.75
"""Columns of more panels, and their side as a share."""
_TITLE_WIDTH = 25
"""Most characters in a line of a panel's title."""
_CLASS_WIDTH = 20
"""Most characters of a class's name."""
_SAME_SEED = "every panel of one seed"
_TILE = 0.33
"""Inches of an image in a grid: 33 pixels of a PNG file, 32 of the image and one between images."""
_POINTS = 1000
"""Points drawn of each set: enough to see its shape, few enough for a small file."""


@plot("Samples by method", order=85)
def samples(data: ComparisonData) -> Figure | None:
    """Return a panel of real data and one of each constraint's samples after its last step."""
    runs = [run for run in data.run_arrays if "samples" in run.arrays]
    if not runs:
        return None
    titles = [REAL, *panel_titles(runs, data.results.shown)]
    title = figure_title("Samples", data)
    # Conditional runs of early versions saved no labels: their images are drawn as a mosaic.
    if all("labels" in run.arrays for run in runs):
        return _grids(data, runs, titles, title)
    images = runs[0].arrays["samples"].ndim == 4
    draw = _images if images else _points
    over = "" if images else ", over real points in grey"
    latents = f"the same latents{', place by place,' * images} in {_SAME_SEED}"
    subtitle = f"After the last step{over}. Generated from {latents}{_shared(runs)}."
    figure, axes = titled_panels(titles, title, subtitle)
    real = runs[0].arrays.get("real")
    draw(axes[0], None, real, Style(GREY, "."))
    for run, panel in zip(runs, axes[1:], strict=True):
        draw(panel, run.arrays["samples"], real, data.styles[run.constraint])
    return figure


def _grids(data: ComparisonData, runs: list[RunArrays], titles: list[str], title: str) -> Figure:
    """Return a grid of real images and one of each conditional run: a row a class, a column a latent."""
    shared = runs[0].arrays
    classes = np.unique(shared["labels"])
    shape = (len(classes), len(shared["labels"]) // len(classes))
    names = [_shortened(printable(str(name))) for name in shared.get("class_names", classes)]
    subtitle = f"After the last step. A row is a class, a column one latent, the same in every row and in {_SAME_SEED}"
    subtitle += f"{_shared(runs)}."
    size = (_TILE * shape[1], _TILE * shape[0])
    margin = 0.2 + 0.065 * max(map(len, names))
    figure, axes = titled_panels(titles, title, subtitle, size=size, left=margin)
    styles = [Style(GREY, "."), *(data.styles[run.constraint] for run in runs)]
    sheets = [shared["real"], *(run.arrays["samples"] for run in runs)]
    leftmost = min(panel.get_position().x0 for panel in axes)
    for panel, images, style in zip(axes, sheets, styles, strict=True):
        _sheet(panel, mosaic(images, shape), style)
        if panel.get_position().x0 == leftmost:
            height = images.shape[1] + 1
            panel.set_yticks([height * row + height / 2 - 1 for row in range(len(names))], names, fontsize=text_size(7))
            panel.tick_params(axis="y", length=0, pad=3)
    return figure


def _shared(runs: list[RunArrays]) -> str:
    return f": seed {runs[0].seed}" if share_seed(runs) else ""


def _shortened(name: str) -> str:
    return name if len(name) <= _CLASS_WIDTH else f"{name[: _CLASS_WIDTH - 1]}…"


def titled_panels(
    titles: list[str], title: str, subtitle: str, *, size: tuple[float, float] = (_SIDE, _SIDE), left: float = 0.2
) -> tuple[Figure, list[Axes]]:
    """Return a figure with a panel of ``size`` inches under each of ``titles``, which may have several lines."""
    lines = 0.14 * max(text.count("\n") for text in titles)
    columns = next((columns for most, columns in _COLUMNS if len(titles) <= most), _MANY_COLUMNS)
    size = (size[0] * _MANY_SIDE, size[1] * _MANY_SIDE) if columns == _MANY_COLUMNS else size
    figure, axes = panels(
        len(titles),
        columns,
        title,
        subtitle,
        size=size,
        gap=(0.25, 0.5 + lines),
        left=left,
        bottom=0.3,
        above=0.2 + lines,
        below=0.06,
        height="square",
    )
    for text, panel in zip(titles, axes, strict=True):
        panel.set_title(text, fontsize=text_size(8))
    return figure, axes


def share_seed(runs: list[RunArrays]) -> bool:
    """Return whether all runs finished and have one seed, which then is named once for all panels."""
    return len({run.seed for run in runs}) == 1 and all(run.status == "finished" for run in runs)


def panel_titles(runs: list[RunArrays], shown: Callable[[str], str]) -> list[str]:
    """Return the title of each run's panel: its constraint as ``shown``, and its seed where runs do not share it."""
    named = [replace(run, constraint=shown(run.constraint)) for run in runs]
    return [wrapped(run.constraint) for run in named] if share_seed(runs) else list(map(panel_title, named))


def panel_title(run: RunArrays) -> str:
    """Return the constraint, the seed and, of a diverged run, "diverged", in lines that fit a panel."""
    return wrapped(f"{run.constraint}, {seed_of(run)}")


def seed_of(run: RunArrays) -> str:
    """Return the seed of a run and, of a diverged run, "diverged"."""
    return f"seed {run.seed}" + (", diverged" if run.status == "diverged" else "")


def wrapped(text: str) -> str:
    """Return ``text`` in lines that fit a panel, broken after spaces, brackets and plus signs."""
    lines = [""]
    for part in re.findall(r"[^ (+]+[ (+]*", text):
        if len(lines[-1]) + len(part.rstrip()) > _TITLE_WIDTH:
            lines.append("")
        lines[-1] += part
    return "\n".join(line for line in lines if line)


def _limits(real: NDArray[Any] | None) -> tuple[float, float]:
    """Return the range of both axes: the real points with a margin of about a third."""
    extent = 1.35 * float(np.abs(real).max()) if real is not None and real.size else 1.0
    return -extent, extent


def _points(panel: Axes, generated: NDArray[Any] | None, real: NDArray[Any] | None, style: Style) -> None:
    for points, colour, alpha in ((real, "#b9b9b9", 1.0 if generated is None else 0.6), (generated, style.colour, 0.6)):
        if points is not None:
            panel.scatter(
                points[:_POINTS, 0], points[:_POINTS, 1], s=3, color=colour, alpha=alpha, linewidths=0, rasterized=True
            )
    low, high = _limits(real)
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
    """Return the first images ``(n, h, w, c)``, row by row with grey between them, as ``(H, W)`` or ``(H, W, 3)``.

    ``shape`` is the number of rows and of columns.
    """
    rows, columns = shape
    _, height, width, channels = images.shape
    sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1, channels), 128, dtype=np.uint8)
    for index, image in enumerate(images[: rows * columns]):
        y, x = (place * (side + 1) for place, side in zip(divmod(index, columns), (height, width), strict=True))
        sheet[y : y + height, x : x + width] = image
    return sheet[..., 0] if channels == 1 else sheet[..., :3]
