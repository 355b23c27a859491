"""Which figures a sweep gets, in which order, and which are left out where there are too many to draw at once."""

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from matplotlib.figure import Figure

from lipschitz.report.plots import brackets, costs, curves, gradients, layers, samples, spectra, step_time, surface
from lipschitz.report.plots.across import FigureAcross
from lipschitz.report.plots.evidence import Evidence
from lipschitz.report.plots.panels import look, render
from lipschitz.report.reading.comparisons import Comparison

PANELS = 80
"""Panels that a report draws unless told otherwise: a few seconds of drawing."""

FAMILIES: dict[str, tuple[str, Callable[[Evidence], Figure | None]]] = {
    "quality_by_step": ("Quality by training step", curves.quality_by_step),
    "quality_by_seconds": ("Quality by training time", curves.quality_by_seconds),
    "quality_by_cost": ("Quality by cost", costs.quality_by_cost),
    "samples": ("Samples by method", samples.samples),
    "sigma": ("σ by layer and step", layers.sigma),
    "brackets": ("Bracket around the Lipschitz constant, at the end", brackets.brackets),
    "lipschitz": ("Bracket around the Lipschitz constant, by training step", curves.lipschitz),
    "gradients": ("Input-gradient norms by place", gradients.gradients),
    "effective_rank": ("Effective rank by layer", layers.effective_rank),
    "spectra": ("Final singular values by layer", spectra.spectra),
    "spectra_normalised": ("Final squared singular values over the largest, by layer", spectra.normalised),
    "step_time": ("Time of a training step", step_time.step_time),
    "surface": ("Value surface of the discriminator", surface.surface),
}
"""By the beginning of its file names: what a family of figures shows, and the function that draws it."""

HEADLINES = ("quality_by_step", "brackets")
"""The families that no comparison should miss."""


@dataclass(frozen=True)
class Picture:
    """One drawn figure: the name of its files without their ending, and their content by ending."""

    name: str
    caption: str
    title: str
    """What it is of."""
    comparison: Comparison | None
    """None for a figure of the whole sweep."""
    panels: int
    files: dict[str, bytes]


class _Turn(NamedTuple):
    """A figure that waits to be drawn."""

    name: str
    caption: str
    title: str
    comparison: Comparison | None
    is_headline: bool
    draw: Callable[[], Figure | None]


def gallery(
    found: list[Evidence], limit: int | None, warnings: list[str], across: Iterable[FigureAcross] = ()
) -> Iterator[Picture]:
    """Draw the figures of a sweep, at most about ``limit`` panels in all (None: without limit).

    Those of the whole sweep come first, then quality by step and the bracket, for as many comparisons as half of the
    limit allows; then all figures of the first comparison of each data set, and so on. A warning says how many figures
    were left out.
    """
    drawn, left_out = 0, 0
    with look():
        for turn in (*_across(across), *_in_turn(found)):
            allowed = limit if limit is None or not turn.is_headline else limit / 2
            if allowed is not None and drawn >= allowed:
                left_out += 1
            elif (picture := _draw(turn)) is not None:
                drawn += picture.panels
                yield picture
    if left_out:
        warnings.append(
            f"{drawn} panels were drawn and up to {left_out} more figures left out, to keep the report quick; "
            "the tables and csv files hold everything, `lipschitz report DIR --all-figures` draws them"
        )


def _draw(turn: _Turn) -> Picture | None:
    with _uncollected():
        figure = turn.draw()
        if figure is None:
            return None
        return Picture(turn.name, turn.caption, turn.title, turn.comparison, len(figure.axes), render(figure))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Put off garbage collection: walking a half-built figure, all cycles, takes a sixth of the time of drawing it."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _across(across: Iterable[FigureAcross]) -> Iterator[_Turn]:
    for one in across:
        yield _Turn(one.name, one.caption, one.title, None, True, one.draw)


def _in_turn(found: list[Evidence]) -> Iterator[_Turn]:
    yield from (_turn(family, evidence) for evidence in found for family in HEADLINES)
    rest = [family for family in FAMILIES if family not in HEADLINES]
    seen: dict[str, int] = {}
    turns = []
    for evidence in found:
        seen[evidence.comparison.dataset] = seen.get(evidence.comparison.dataset, -1) + 1
        turns.append(seen[evidence.comparison.dataset])
    for _, evidence in sorted(zip(turns, found, strict=True), key=lambda pair: pair[0]):
        yield from (_turn(family, evidence) for family in rest)


def _turn(family: str, evidence: Evidence) -> _Turn:
    caption, draw = FAMILIES[family]
    name = f"{family}_{evidence.slug}"
    return _Turn(name, caption, evidence.title, evidence.comparison, family in HEADLINES, partial(draw, evidence))
