"""Draw the figures of a sweep in their order, and leave out the last ones where there are too many."""

import gc
import inspect
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from lipschitz.report.plots.base import Plot, Subject, each_comparison
from lipschitz.report.plots.data import ComparisonData, SweepData
from lipschitz.report.plots.file_formats import FORMATS, render
from lipschitz.report.plots.look import report_style
from lipschitz.report.plots.panels import DoesNotFitError
from lipschitz.report.reading.comparisons import Comparison

PANELS = 120
"""Default limit of panels in a report: a few seconds of drawing."""
_PIXELS_PER_INCH = 96
"""Of a page, by CSS."""


@dataclass(frozen=True)
class Picture:
    """A drawn figure.

    Attributes:
        plot: name of its plot.
        name: of its files, without their ending.
        caption: what it shows.
        title: what it is of.
        comparison: the comparison that it is of; None for a figure of the whole sweep.
        is_headline: whether a page shows it before it is asked for more.
        panels: how many axes it has.
        size: width and height on a page, in pixels.
        text: title and subtitle, line by line, for a caption.
        files: content by ending; ``csv`` is the data that it shows, of plots that have a table.
    """

    plot: str
    name: str
    caption: str
    title: str
    comparison: Comparison | None
    is_headline: bool
    panels: int
    size: tuple[int, int]
    text: str
    files: dict[str, bytes]


class _Planned(NamedTuple):
    """A figure that is still to be drawn."""

    plot: Plot[Any]
    subject: Subject[Any]
    is_first: bool
    """Whether it belongs to the figures that are drawn first, for which half of the limit is reserved."""


def gallery(
    sweep: SweepData,
    plots: Sequence[Plot[Any]],
    limit: int | None,
    warnings: list[str],
    *,
    kinds: Sequence[str] = FORMATS,
    style: Callable[[], AbstractContextManager[None]] = report_style,
) -> Iterator[Picture]:
    """Draw all ``plots`` of a sweep, in their order, at most about ``limit`` panels in all (None: without limit).

    First come the figures of the whole sweep, then the headlines of every comparison, as far as half of the limit
    allows. Then come all other figures, plot by plot: of the first comparison of each data set, then of the second, and
    so on. ``warnings`` gets a line that says how many figures were left out, and one for each plot from outside the
    package that fails and is then not drawn again. A plot of the package raises. A figure that does not fit the width
    of a paper's column is left out without a word. ``kinds`` are the endings of the files, and ``style`` is a context
    in which figures are drawn.
    """
    drawn, left_out = 0, 0
    failed: set[str] = set()
    with style():
        for planned in _plan(sweep, plots):
            allowed = limit if limit is None or not planned.is_first else limit / 2
            if allowed is not None and drawn >= allowed:
                left_out += 1
            elif (picture := _draw_or_warn(planned, kinds, failed, warnings)) is not None:
                drawn += picture.panels
                yield picture
    if left_out:
        warnings.append(
            f"{drawn} panels were drawn and up to {left_out} more figures left out, to keep the report fast; "
            "the tables and csv files hold all values; `lipschitz report DIR --all-figures` draws every figure"
        )


def _draw_or_warn(planned: _Planned, kinds: Sequence[str], failed: set[str], warnings: list[str]) -> Picture | None:
    """Draw a figure; a plot from outside the package that fails is dropped with a warning, and added to ``failed``."""
    plot, subject, _ = planned
    if plot.name in failed:
        return None
    if plot.draw.__module__.partition(".")[0] == __name__.partition(".")[0]:
        return _draw(planned, kinds)
    try:
        return _draw(planned, kinds)
    except (Exception, SystemExit) as error:
        failed.add(plot.name)
        code = inspect.unwrap(plot.draw).__code__
        lines = [at.lineno for at in traceback.extract_tb(error.__traceback__) if at.filename == code.co_filename]
        place = f"{code.co_filename}:{[code.co_firstlineno, *lines][-1]}"
        why = " ".join(f"{type(error).__name__}: {error}".split())
        warnings.append(f"{place}: plot {plot.name} failed for {subject.title} and is dropped: {why}")
        return None


def _draw(planned: _Planned, kinds: Sequence[str]) -> Picture | None:
    plot, subject, _ = planned
    with _garbage_collection_off():
        try:
            figure = plot(subject.data)
        except DoesNotFitError:
            return None
        if figure is None:
            return None
        if not isinstance(figure, Figure):
            raise TypeError(f"expected a matplotlib Figure or None, got {type(figure).__name__}")
        files = render(figure, kinds)
        width, height = figure.get_size_inches()
        if plot.table is not None:
            files["csv"] = plot.table(subject.data).to_csv(index=False, lineterminator="\n").encode()
        return Picture(
            plot=plot.name,
            name=f"{plot.name}_{subject.slug}",
            caption=plot.caption,
            title=subject.title,
            comparison=subject.comparison,
            is_headline=plot.headline,
            panels=len(figure.axes),
            size=(round(_PIXELS_PER_INCH * width), round(_PIXELS_PER_INCH * height)),
            text=str(figure.get_label()),
            files=files,
        )


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
    others = [plot for plot in rest if not plot.headline]
    for turn in _turns(comparisons):
        for plot in others:
            yield from _each(turn, [plot], is_first=False)


def _each(subjects: Iterable[Subject[Any]], plots: list[Plot[Any]], *, is_first: bool) -> Iterator[_Planned]:
    for subject in subjects:
        for plot in plots:
            yield _Planned(plot, subject, is_first)


def _turns(subjects: list[Subject[ComparisonData]]) -> list[list[Subject[ComparisonData]]]:
    """Return comparisons so that data sets take turns: the first of each, then the second of each, and so on."""
    seen: Counter[str] = Counter()
    turns: dict[int, list[Subject[ComparisonData]]] = {}
    for subject in subjects:
        dataset = subject.data.comparison.dataset
        turns.setdefault(seen[dataset], []).append(subject)
        seen[dataset] += 1
    return list(turns.values())
