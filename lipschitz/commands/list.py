"""``lipschitz list``: the catalogue of every extension point, with one line and the source of each entry."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from lipschitz.config import Config
from lipschitz.constraints.catalogue import CONSTRAINTS
from lipschitz.datasets.catalogue import DATASETS
from lipschitz.extensions.origin import origin_of
from lipschitz.extensions.point import ExtensionPoint
from lipschitz.features.protocols.catalogue import PROTOCOLS
from lipschitz.metrics.catalogue import CATALOGUE, METRICS
from lipschitz.models.catalogue import MODELS
from lipschitz.tasks.catalogue import TASKS
from lipschitz.tasks.losses.catalogue import LOSSES
from lipschitz.tasks.optimisers.catalogue import OPTIMISERS

Row = tuple[str, ...]


class Listing(NamedTuple):
    """A table: its columns, and a function that makes its rows."""

    columns: Row
    rows: Callable[[], Iterable[Row]]


def _constraints() -> Iterable[Row]:
    for name, kind in CONSTRAINTS.items():
        cost = "second backward" if kind.double_backward else "-"
        yield name, kind.promise, cost, kind.summary(), _source(kind)
    for name, reason in CONSTRAINTS.refused.items():
        yield name, "-", "-", f"Refused: {reason}.", ""


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
    """Return the paper and, of a class from outside the package, the file or package that it comes from."""
    origin = origin_of(kind)
    return kind.source + (f" ({', '.join(origin.facts().values())})" if origin else "")


_POINTS: tuple[ExtensionPoint[Any], ...] = (TASKS, DATASETS, MODELS, CONSTRAINTS, LOSSES, OPTIMISERS, PROTOCOLS)
LISTINGS: dict[str, Listing] = {
    **{point.plural: Listing(("name", "what it is", "source"), partial(_rows, point)) for point in _POINTS},
    "constraints": Listing(("name", "promise", "extra cost", "what it does", "source"), _constraints),
    "metrics": Listing(("name", "better", "what it is", "source"), _metrics),
}
"""What can be listed."""
