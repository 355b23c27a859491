"""Draw the figures of a sweep in their order, and leave out the last ones where there are too many."""

import gc
import inspect
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from lipschitz.report.plots.base import Plot, Subject, each_comparison
from lipschitz.report.plots.data import ComparisonData, SweepData
from lipschitz.report.plots.panels import render, report_style
from lipschitz.report.reading.comparisons import Comparison

PANELS = 80
"""Default limit of panels in a report: a few seconds of drawing."""


@dataclass(frozen=True)
class Picture:
    """A drawn figure.

    Attributes:
        name: of its files, without their ending.
        caption: what it shows.
        title: what it is of.
        comparison: the comparison that it is of; None for a figure of the whole sweep.
        panels: how many axes it has.
        files: content by ending.
    """

    name: str
    caption: str
    title: str
    comparison: Comparison | None
    panels: int
    files: dict[str, bytes]


class _Planned(NamedTuple):
    """A figure that is still to be drawn."""

    plot: Plot[Any]
    subject: Subject[Any]
    is_first: bool
    """Whether it belongs to the figures that are drawn first, for which half of the limit is reserved."""


def gallery(sweep: SweepData, plots: Sequence[Plot[Any]], limit: int | None, warnings: list[str]) -> Iterator[Picture]:
    """Draw all ``plots`` of a sweep, in their order, at most about ``limit`` panels in all (None: without limit).

    First come the figures of the whole sweep, then the headlines of every comparison, as far as half of the limit
    allows. Then come all other figures of the first comparison of each data set, of the second, and so on. ``warnings``
    gets a line that says how many figures were left out, and one for each plot from outside the package that fails and
    is then not drawn again. A plot of the package raises.
    """
    drawn, left_out = 0, 0
    failed: set[str] = set()
    with report_style():
        for planned in _plan(sweep, plots):
            allowed = limit if limit is None or not planned.is_first else limit / 2
            if allowed is not None and drawn >= allowed:
                left_out += 1
            elif (picture := _draw_or_warn(planned, failed, warnings)) is not None:
                drawn += picture.panels
                yield picture
    if left_out:
        warnings.append(
            f"{drawn} panels were drawn and up to {left_out} more figures left out, to keep the report fast; "
            "the tables and csv files hold all values; `lipschitz report DIR --all-figures` draws every figure"
        )


def _draw_or_warn(planned: _Planned, failed: set[str], warnings: list[str]) -> Picture | None:
    """Draw a figure; a plot from outside the package that fails is dropped with a warning, and added to ``failed``."""
    plot, subject, _ = planned
    if plot.name in failed:
        return None
    if plot.draw.__module__.partition(".")[0] == __name__.partition(".")[0]:
        return _draw(planned)
    try:
        return _draw(planned)
    except (Exception, SystemExit) as error:
        failed.add(plot.name)
        code = inspect.unwrap(plot.draw).__code__
        lines = [at.lineno for at in traceback.extract_tb(error.__traceback__) if at.filename == code.co_filename]
        place = f"{code.co_filename}:{[code.co_firstlineno, *lines][-1]}"
        why = " ".join(f"{type(error).__name__}: {error}".split())
        warnings.append(f"{place}: plot {plot.name} failed for {subject.title} and is dropped: {why}")
        return None


def _draw(planned: _Planned) -> Picture | None:
    plot, subject, _ = planned
    with _garbage_collection_off():
        figure = plot(subject.data)
        if figure is None:
            return None
        if not isinstance(figure, Figure):
            raise TypeError(f"expected a matplotlib Figure or None, got {type(figure).__name__}")
        name = f"{plot.name}_{subject.slug}"
        return Picture(name, plot.caption, subject.title, subject.comparison, len(figure.axes), render(figure))


@contextmanager
def _garbage_collection_off() -> Iterator[None]:
    """Put off garbage collection: a half-built figure is full of cycles, and walking them takes a sixth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _plan(sweep: SweepData, plots: Sequence[Plot[Any]]) -> Iterator[_Planned]:
    """Yield all figures in the order in which they are drawn: subject by subject, its plots in their order."""
    across = [plot for plot in plots if plot.scope is not each_comparison]
    for scope in dict.fromkeys(plot.scope for plot in across):
        yield from _each(scope(sweep), [plot for plot in across if plot.scope is scope], is_first=True)
    rest = [plot for plot in plots if plot.scope is each_comparison]
    comparisons = list(each_comparison(sweep))
    yield from _each(comparisons, [plot for plot in rest if plot.headline], is_first=True)
    yield from _each(_in_turn(comparisons), [plot for plot in rest if not plot.headline], is_first=False)


def _each(subjects: Iterable[Subject[Any]], plots: list[Plot[Any]], *, is_first: bool) -> Iterator[_Planned]:
    for subject in subjects:
        for plot in plots:
            yield _Planned(plot, subject, is_first)


def _in_turn(subjects: list[Subject[ComparisonData]]) -> list[Subject[ComparisonData]]:
    """Return comparisons so that data sets take turns: the first of each, then the second of each, and so on."""
    turns: dict[str, int] = {}
    keyed = []
    for subject in subjects:
        dataset = subject.data.comparison.dataset
        turns[dataset] = turns.get(dataset, -1) + 1
        keyed.append((turns[dataset], subject))
    return [subject for _, subject in sorted(keyed, key=lambda pair: pair[0])]
