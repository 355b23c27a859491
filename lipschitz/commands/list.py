"""``lipschitz list``: print the catalogue of every extension point and of metrics: name, one line, source."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from lipschitz.config import Config
from lipschitz.constraints.base import CONSTRAINTS, Constraint
from lipschitz.datasets.base import DATASETS
from lipschitz.errors import InputError, nearest
from lipschitz.extensions.origin import origin_of
from lipschitz.extensions.point import ExtensionPoint
from lipschitz.features.protocols import PROTOCOLS
from lipschitz.metrics.catalogue import CATALOGUE, METRICS
from lipschitz.models.base import MODELS
from lipschitz.sweep.engine.base import ENGINES
from lipschitz.tasks.augmentation import AUGMENTATIONS
from lipschitz.tasks.base import TASKS
from lipschitz.tasks.losses import LOSSES
from lipschitz.tasks.optimisers import OPTIMISERS
from lipschitz.training.observers import OBSERVERS

Row = tuple[str, ...]


class Listing(NamedTuple):
    """The columns of a table, and a function that makes its rows."""

    columns: Row
    rows: Callable[[], Iterable[Row]]


def _constraints() -> Iterable[Row]:
    for name, kind in CONSTRAINTS.items():
        yield name, kind.promise, "yes" if kind.double_backward else "-", _start(kind), kind.summary(), _source(kind)
    for name, reason in CONSTRAINTS.refused.items():
        yield name, "-", "-", "-", f"Refused: {reason}.", ""


def _start(kind: type[Constraint]) -> str:
    """Return the authors' start, and that of residual networks where it is another."""
    of_residual = f", residual: {kind.start_of_residual}" if kind.start_of_residual else ""
    return f"{kind.start or '-'}{of_residual}"


def _rows(point: ExtensionPoint[Any]) -> Iterable[Row]:
    for name, kind in point.items():
        yield name, kind.summary(), _source(kind)
    for name, reason in point.refused.items():
        yield name, f"Refused: {reason}.", ""


def _metrics() -> Iterable[Row]:
    for name, metric in CATALOGUE.own.items():
        yield name, metric.better or "-", metric.summary, metric.source
    for name, kind in METRICS.items():
        if name not in METRICS.own:
            yield name, kind.better or "-", kind.summary(), _source(kind)
    for name, reason in METRICS.refused.items():
        yield name, "-", f"Refused: {reason}.", ""


def _source(kind: type[Config]) -> str:
    """Return the paper and, for a class from outside the package, its file or package."""
    origin = origin_of(kind)
    return kind.source + (f" ({', '.join(origin.facts().values())})" if origin else "")


_POINTS: tuple[ExtensionPoint[Any], ...] = (
    TASKS,
    DATASETS,
    MODELS,
    CONSTRAINTS,
    LOSSES,
    AUGMENTATIONS,
    OPTIMISERS,
    PROTOCOLS,
    ENGINES,
    OBSERVERS,
)
LISTINGS: dict[str, Listing] = {
    **{point.plural: Listing(("name", "description", "source"), partial(_rows, point)) for point in _POINTS},
    "constraints": Listing(("name", "promise", "second backward", "start", "description", "source"), _constraints),
    "metrics": Listing(("name", "better", "description", "source"), _metrics),
}
"""What can be listed, by the plural of its name."""


def show_lists(kind: str | None, console: Console) -> None:
    """Print the table of one kind of thing, or of every kind.

    Raises:
        InputError: there is no such kind.
    """
    if kind is not None and kind not in LISTINGS:
        raise InputError(f"nothing to list is called '{kind}'; {nearest(kind, LISTINGS)}")
    for name in [kind] if kind else LISTINGS:
        listing = LISTINGS[name]
        table = Table(title=name, title_justify="left", title_style="bold", box=None, pad_edge=False)
        for column in listing.columns:
            table.add_column(column, overflow="fold", no_wrap=column == "name")
        for row in listing.rows():
            table.add_row(*row)
        console.print(table, "")
