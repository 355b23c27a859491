"""The figures of a whole sweep, in the order in which they are shown: across settings, dimensions and models."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from matplotlib.figure import Figure

from lipschitz.report.plots.cosines import cosine_as_published, cosine_by_dimension
from lipschitz.report.plots.distances import w1_by_dimension
from lipschitz.report.plots.potentials import potentials
from lipschitz.report.plots.robustness import by_setting
from lipschitz.report.published.critics import Family
from lipschitz.report.reading.comparisons import slug
from lipschitz.report.statistics.robustness import Settings

_PLANAR = (0, 2)
"""Dimensions of pairs that may lie in the plane; zero where they do not say."""


class FigureAcross(NamedTuple):
    """A figure to draw: the name of its files, what it shows, of what, and the function that draws it."""

    name: str
    caption: str
    title: str
    draw: Callable[[], Figure | None]


def figures_across(found: list[Family], settings: Iterable[Settings] = ()) -> Iterator[FigureAcross]:
    """Yield every figure of a sweep's settings and families; one that has nothing to show is None when drawn."""
    for one in settings:
        name = f"by_setting_{one.suffix}"
        yield FigureAcross(name, "Quality by method and setting", one.title, partial(by_setting, one))
    for family in found:
        yield FigureAcross(
            f"cosine_by_dimension_{slug(family.kind)}{family.suffix}",
            "Cosine to the optimal gradient by dimension",
            family.title,
            partial(cosine_by_dimension, family),
        )
        yield FigureAcross(
            f"cosine_as_published_{slug(family.kind)}{family.suffix}",
            "Cosine by dimension, measured as the published one",
            family.title,
            partial(cosine_as_published, family),
        )
        yield FigureAcross(
            f"w1_by_dimension_{slug(family.kind)}{family.suffix}",
            "W1 that the critic certifies and claims over the true W1, by dimension",
            family.title,
            partial(w1_by_dimension, family),
        )
    for family in found:
        planar = family.cells[family.cells["dim"].isin(_PLANAR)]
        for dataset in dict.fromkeys(planar["dataset"]):
            shown = family.results.shown(dataset)
            yield FigureAcross(
                f"potentials_{slug(shown)}{family.suffix}",
                "Critics and optimal potential over the plane",
                shown,
                partial(potentials, family, dataset),
            )
