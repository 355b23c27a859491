"""Plot values over the plane: of a discriminator with its samples, and of critics beside the optimal potential."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lipschitz.report.number_format import show
from lipschitz.report.plots.base import Subject, plot
from lipschitz.report.plots.data import ComparisonData, RunArrays, SweepData, arrays_of
from lipschitz.report.plots.lines import figure_title
from lipschitz.report.plots.look import points as text_size
from lipschitz.report.plots.look import text_width
from lipschitz.report.plots.samples import panel_titles, seed_of, share_seed, titled_panels, wrapped
from lipschitz.report.published.critics import CriticFamily
from lipschitz.report.reading.comparisons import slug
from lipschitz.tasks.wording import wording

_POINTS = 300
_LEVELS = 12
"""About how many level lines the optimal potential has."""
_MOST_LEVELS = 80
"""Level lines above which a panel would be white."""
_PLANAR = (0, 2)
"""Dimensions of pairs that may lie in the plane; zero where a pair has no such field."""


class CriticsOfPair(NamedTuple):
    """The critics of a family on one of its pairs of distributions."""

    family: CriticFamily
    dataset: str


@plot("Value surface of the discriminator", order=130)
def surface(data: ComparisonData) -> Figure | None:
    """Return one panel a constraint: values of D as colour and level lines, real points dark, generated ones light.

    Each panel has its own range of values, written below it: a constraint bounds the slope of the surface.
    """
    runs = [run for run in data.run_arrays if "samples" in run.arrays and "surface" in run.arrays]
    if not runs:
        return None
    subtitle = (
        "Colour and level lines: D after the last step, each panel over its own range. Black: real. White: generated."
    )
    subtitle += f" Seed {runs[0].seed}." if share_seed(runs) else ""
    titles = panel_titles(runs, data.results.shown)
    figure, axes = titled_panels(titles, figure_title("Value surface of D", data), subtitle)
    for run, panel in zip(runs, axes, strict=True):
        points = {key: run.arrays.get(key) for key in ("real", "samples")}
        _draw_values(panel, run.arrays["surface"], run.arrays["surface_extent"], points["real"], points["samples"])
    return figure


def each_planar_pair(sweep: SweepData) -> Iterator[Subject[CriticsOfPair]]:
    """Yield every pair of distributions that may lie in the plane, with the critics of each family."""
    for family in sweep.families:
        planar = family.cells[family.cells["dim"].isin(_PLANAR)]
        for dataset in dict.fromkeys(planar["dataset"]):
            shown = family.results.shown(dataset)
            yield Subject(CriticsOfPair(family, dataset), f"{slug(shown)}{family.suffix}", shown)


@plot("Critics and optimal potential over the plane", order=50, scope=each_planar_pair)
def potentials(pair: CriticsOfPair) -> Figure | None:
    """Return one panel a critic of the pair, then one of the optimal potential; None off the plane."""
    found = list(_critics(*pair))
    if not found:
        return None
    title = f"Critics and optimal potential  ·  {pair.family.results.shown(pair.dataset)}"
    seeds = {run.seed for _, run in found}
    alike = len(seeds) == 1 and all(run.status == "finished" for _, run in found)
    shared = found[0][1].arrays
    # A round number is easier to state.
    spacing = float(f"{np.ptp(shared['surface_true']) / _LEVELS:.1g}")
    subtitle = (
        f"After the last step. Level lines are {spacing:g} apart in all panels: the closer, the steeper. Colour covers "
        "each panel's own range.\nBlack: P. White: Q. The optimal potential rises with slope 1 on the way from Q to P."
    ) + (f" Seed {min(seeds)}." if alike else "")
    titles = [wrapped(name if alike else f"{name}, {seed_of(run)}") for name, run in found]
    figure, axes = titled_panels([*titles, wording("transport").floor], title, subtitle)
    extent, source, target = (shared[key] for key in ("surface_extent", "source", "target"))
    for (_, run), panel in zip(found, axes, strict=False):
        _draw_values(panel, run.arrays["surface"], extent, source, target, spacing=spacing)
    _draw_values(axes[-1], shared["surface_true"], extent, source, target, name="Potential", spacing=spacing)
    return figure


def _critics(family: CriticFamily, dataset: str) -> Iterator[tuple[str, RunArrays]]:
    """Yield each series' name and the arrays of one of its runs on the pair."""
    runs = family.results.runs
    runs = runs[runs["configuration"].isin(family.cells.index) & (runs["dataset"] == dataset)]
    for constraint, model in family.series:
        of_series = runs[(runs["constraint"] == constraint) & (runs["model"] == model)]
        found = arrays_of(family.results, of_series)
        if found is not None and "surface_true" in found.arrays:
            yield family.series_names[constraint, model], found


def _draw_values(
    panel: Axes,
    values: NDArray[Any],
    bounds: NDArray[Any],
    dark: NDArray[Any] | None,
    light: NDArray[Any] | None,
    name: str = "D",
    spacing: float | None = None,
) -> None:
    """Draw values over the plane as colour and level lines, and points dark and light, if any, over them.

    Args:
        panel: where to draw.
        values: ``(rows, columns)``; rows go up.
        bounds: ``(xmin, xmax, ymin, ymax)``.
        dark: ``(n, 2)``.
        light: ``(n, 2)``.
        name: of the function, for the line below the panel that gives its range.
        spacing: difference between level lines, which then are all solid; by default eight level lines are spread over
            the values, dashed below zero.
    """
    left, right, low, high = map(float, bounds)
    extent = (left, right, low, high)
    panel.imshow(values, origin="lower", extent=extent, cmap="cividis", interpolation="bilinear")
    levels = 8 if spacing is None else _levels(values, spacing)
    if np.isfinite(values).all() and np.ptp(values) > 0 and levels:
        lines = panel.contour(
            values,
            levels=levels,
            origin="lower",
            extent=extent,
            colors="white",
            linestyles=None if spacing is None else "solid",
            linewidths=0.4,
            alpha=0.6,
        )
        lines.set_rasterized(True)
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
    values_range = f"from {show(float(finite.min()))} to {show(float(finite.max()))}" if finite.size else "not finite"
    text = f"{name} {values_range}"
    width = panel.get_position().width * cast(Figure, panel.get_figure()).get_figwidth()
    panel.set_xlabel(text if text_width(text, text_size(8.5)) <= width else text.replace(" to ", "\nto "))


def _levels(values: NDArray[Any], spacing: float) -> list[float]:
    """Return the multiples of ``spacing`` within the range of ``values``; none where they would fill the panel."""
    low, high = float(values.min()) / spacing, float(values.max()) / spacing
    if not math.isfinite(high - low) or high - low > _MOST_LEVELS:
        return []
    return [spacing * number for number in range(math.ceil(low), math.floor(high) + 1)]
