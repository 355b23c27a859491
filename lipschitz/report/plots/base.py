"""Define a plot: a function that draws a figure, registered with its caption and its place among the figures.

`registered_plots` finds the plots in all modules of this package, those that other packages offer by an entry point in
`GROUP`, which names a plot or a module of plots, and those in files of the user. Naming a file runs its code.
"""

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar, overload

import pandas as pd
from matplotlib.figure import Figure

from lipschitz.errors import InputError, nearest
from lipschitz.extensions.origin import run_as_module
from lipschitz.report.plots.data import ComparisonData, SweepData
from lipschitz.report.reading.comparisons import Comparison

GROUP = "lipschitz.plots"
"""Group of entry points by which an installed package adds plots."""
_FILE = re.compile(r"(.+\.py)(?::(\w+))?")
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
        table: returns the values that the figure shows, which are written beside it as csv; None where it has none.
    """

    name: str
    caption: str
    order: int
    headline: bool
    scope: Scope[T]
    draw: Callable[[T], Figure | None]
    table: Callable[[T], pd.DataFrame] | None = None

    def __call__(self, data: T) -> Figure | None:
        """Return the figure of one subject, or None where there is nothing to draw."""
        return self.draw(data)


def each_comparison(sweep: SweepData) -> Iterator[Subject[ComparisonData]]:
    """Yield every comparison of the sweep: the runs that differ only in the constraint and the seed."""
    for one in sweep.comparisons:
        yield Subject(one, one.slug, one.title, one.comparison)


@overload
def plot(
    caption: str,
    *,
    order: int,
    headline: bool = ...,
    table: Callable[[ComparisonData], pd.DataFrame] | None = ...,
) -> Callable[[Callable[[ComparisonData], Figure | None]], Plot[ComparisonData]]: ...


@overload
def plot(
    caption: str,
    *,
    order: int,
    headline: bool = ...,
    scope: Scope[T],
    table: Callable[[T], pd.DataFrame] | None = ...,
) -> Callable[[Callable[[T], Figure | None]], Plot[T]]: ...


def plot(
    caption: str,
    *,
    order: int,
    headline: bool = False,
    scope: Scope[Any] = each_comparison,
    table: Callable[[Any], pd.DataFrame] | None = None,
) -> Callable[[Callable[[Any], Figure | None]], Plot[Any]]:
    """Register a function as a plot; see `Plot` for the arguments.

    The function takes the data of one subject of ``scope``. It returns None where there is nothing to draw.
    """
    return lambda draw: Plot(draw.__name__, caption, order, headline, scope, draw, table)


def registered_plots(warnings: list[str], files: Sequence[str] = ()) -> list[Plot[Any]]:
    """Return the plots of this package, of all entry points in `GROUP` and of files, by ``order``, then by name.

    Args:
        warnings: gets one line for each entry point that cannot be used, and is left out.
        files: each ``path/to/file.py``, which adds all plots in the file, or ``path/to/file.py:name``, which adds one.

    Raises:
        InputError: a file cannot be read or executed, has no such plot, or has a plot whose name is taken.
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
    for file in files:
        try:
            _add(found, _in_file(file))
        except ValueError as error:
            raise InputError(f"--plot {file}: {error}; give the function another name") from None
    return sorted(found.values(), key=lambda one: (one.order, one.name))


def _in_file(text: str) -> Plot[Any] | ModuleType:
    """Execute a file and return the plot that ``text`` names, or the module if it names the file alone."""
    match = _FILE.fullmatch(text)
    if match is None:
        raise InputError(f"--plot {text}: expected path/to/file.py, or path/to/file.py:NAME for one of its plots")
    path, name = Path(match[1]).resolve(), match[2]
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"--plot {path}: cannot be read: {error.strerror}") from None
    module = run_as_module(path, content)
    plots = {one.name: one for one in vars(module).values() if isinstance(one, Plot)}
    if not plots:
        raise InputError(f"--plot {path}: has no plot; expected a function under @plot of {__name__}")
    if name is None:
        return module
    if name not in plots:
        raise InputError(f"--plot {path}: '{name}' is not a plot of this file; {nearest(name, plots)}")
    return plots[name]


def _add(found: dict[str, Plot[Any]], source: object) -> None:
    """Add a plot, or the plots of a module, to ``found``, by name.

    Raises:
        TypeError: ``source`` is neither.
        ValueError: another plot has the same name, and so would write to the same files.
    """
    if not isinstance(source, Plot | ModuleType):
        raise TypeError(f"expected a plot or a module of plots, got {type(source).__name__}")
    # Added only once all names are checked, so that a module is used in whole or not at all.
    added = dict(found)
    for one in [source] if isinstance(source, Plot) else vars(source).values():
        if isinstance(one, Plot) and added.setdefault(one.name, one) is not one:
            raise ValueError(f"there are two plots named {one.name}")
    found.update(added)
