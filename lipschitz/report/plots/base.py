"""Define a plot: a function that draws a figure, registered with its caption and its place among the figures.

`registered_plots` finds the plots in all modules of this package, and those that other packages offer by an entry point
in `GROUP`, which names a plot or a module of plots.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, Generic, TypeVar, overload

from matplotlib.figure import Figure

from lipschitz.report.plots.data import ComparisonData, SweepData
from lipschitz.report.reading.comparisons import Comparison

GROUP = "lipschitz.plots"
"""Group of entry points by which an installed package adds plots."""
T = TypeVar("T")


@dataclass(frozen=True)
class Subject(Generic[T]):
    """What one figure shows.

    Attributes:
        data: the argument of the plot's function.
        slug: the end of the names of the figure's files.
        title: what the figure is of, for its alternative text on the page.
        comparison: the comparison whose section of the page shows the figure; None for the section of the whole sweep.
    """

    data: T
    slug: str
    title: str
    comparison: Comparison | None = None


Scope = Callable[[SweepData], Iterable[Subject[T]]]
"""Lists what a plot is drawn of: one figure for each subject."""


@dataclass(frozen=True)
class Plot(Generic[T]):
    """A registered plot. Call it with the data of a subject to draw the figure.

    Attributes:
        name: the beginning of the names of its files: the function's name.
        caption: what its figures show.
        order: place among the figures; lower comes first.
        headline: whether it is drawn for every comparison before any other plot, so that none lacks it.
        scope: `each_comparison`, or what lists the subjects of a plot of the whole sweep.
        draw: returns the figure, or None where there is nothing to draw.
    """

    name: str
    caption: str
    order: int
    headline: bool
    scope: Scope[T]
    draw: Callable[[T], Figure | None]

    def __call__(self, data: T) -> Figure | None:
        """Return the figure of one subject, or None where there is nothing to draw."""
        return self.draw(data)


def each_comparison(sweep: SweepData) -> Iterator[Subject[ComparisonData]]:
    """Yield every comparison of the sweep: the runs that differ only in the constraint and the seed."""
    for one in sweep.comparisons:
        yield Subject(one, one.slug, one.title, one.comparison)


@overload
def plot(
    caption: str, *, order: int, headline: bool = ...
) -> Callable[[Callable[[ComparisonData], Figure | None]], Plot[ComparisonData]]: ...


@overload
def plot(
    caption: str, *, order: int, headline: bool = ..., scope: Scope[T]
) -> Callable[[Callable[[T], Figure | None]], Plot[T]]: ...


def plot(
    caption: str, *, order: int, headline: bool = False, scope: Scope[Any] = each_comparison
) -> Callable[[Callable[[Any], Figure | None]], Plot[Any]]:
    """Register a function as a plot; see `Plot` for the arguments.

    The function takes the data of one subject of ``scope``. It returns None where there is nothing to draw.
    """
    return lambda draw: Plot(draw.__name__, caption, order, headline, scope, draw)


def registered_plots(warnings: list[str]) -> list[Plot[Any]]:
    """Return the plots of this package and of all entry points in `GROUP`, by ``order``, then by name.

    An entry point that cannot be used is left out; ``warnings`` gets one line that says why.
    """
    found: dict[str, Plot[Any]] = {}
    package = importlib.import_module(__name__.rpartition(".")[0])
    for module in pkgutil.iter_modules(package.__path__):
        _add(found, importlib.import_module(f"{package.__name__}.{module.name}"))
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        try:
            _add(found, point.load())
        except (Exception, SystemExit) as error:
            why = f"{type(error).__name__}: {' '.join(str(error).split())}"
            warnings.append(f"entry point {point.name} = {point.value} ({GROUP}) is not used: {why}")
    return sorted(found.values(), key=lambda one: (one.order, one.name))


def _add(found: dict[str, Plot[Any]], source: object) -> None:
    """Add a plot, or the plots of a module, to ``found``, by name.

    Raises:
        TypeError: ``source`` is neither.
        ValueError: another plot has the same name, and so would write to the same files.
    """
    if not isinstance(source, Plot | ModuleType):
        raise TypeError(f"expected a plot or a module of plots, got {type(source).__name__}")
    for one in [source] if isinstance(source, Plot) else vars(source).values():
        if isinstance(one, Plot) and found.setdefault(one.name, one) is not one:
            raise ValueError(f"there are two plots named {one.name}")
