"""The critics' values over the plane beside the optimal potential's: how much of it each method finds."""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

from lipschitz.report.plots.evidence import Pictures, pictures_of
from lipschitz.report.plots.samples import picture_panels, seed_of, wrapped
from lipschitz.report.plots.surface import draw
from lipschitz.report.published.critics import Family
from lipschitz.report.wording import wording

_LINES = 12
"""About how many level lines the optimal potential has."""


def potentials(family: Family, dataset: str) -> Figure | None:
    """Return one panel a critic of the pair ``dataset``, then one of the optimal potential; None off the plane."""
    found = list(_pictures(family, dataset))
    if not found:
        return None
    results = family.results
    title = f"Critics and optimal potential  ·  {results.shown(dataset)}"
    seeds = {picture.seed for _, picture in found}
    alike = len(seeds) == 1 and all(picture.status == "finished" for _, picture in found)
    shared = found[0][1].arrays
    # A round number, so that it can be said.
    spacing = float(f"{np.ptp(shared['surface_true']) / _LINES:.1g}")
    said = (
        f"After the last step. Level lines are {spacing:g} apart in all panels: the closer, the steeper. Colour has "
        "each panel's own range.\nBlack: P. White: Q. On the way from Q to P the optimal potential climbs at slope one."
    ) + (f" Seed {min(seeds)}." if alike else "")
    titles = [wrapped(name if alike else f"{name}, {seed_of(picture)}") for name, picture in found]
    figure, axes = picture_panels([*titles, wording("transport").floor], title, said)
    frame, source, target = (shared[key] for key in ("surface_extent", "source", "target"))
    for (_, picture), panel in zip(found, axes, strict=False):
        draw(panel, picture.arrays["surface"], frame, source, target, spacing=spacing)
    draw(axes[-1], shared["surface_true"], frame, source, target, name="Potential", spacing=spacing)
    return figure


def _pictures(family: Family, dataset: str) -> Iterator[tuple[str, Pictures]]:
    """Yield each series' name and the arrays of one of its runs on the pair."""
    runs = family.results.runs
    runs = runs[runs["configuration"].isin(family.cells.index) & (runs["dataset"] == dataset)]
    for constraint, model in family.series:
        of_series = runs[(runs["constraint"] == constraint) & (runs["model"] == model)]
        found = pictures_of(family.results, of_series)
        if found is not None and "surface_true" in found.arrays:
            yield family.series_names[constraint, model], found
