"""What ``lipschitz list`` prints of each kind of thing."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from lipschitz.config import Config
from lipschitz.constraints.catalogue import CATALOGUE as CONSTRAINTS
from lipschitz.constraints.catalogue import REFUSED
from lipschitz.datasets.catalogue import CATALOGUE as DATASETS
from lipschitz.extensions.outside import origin_of
from lipschitz.features.protocols import PROTOCOLS
from lipschitz.metrics.catalogue import CATALOGUE as METRICS
from lipschitz.models.catalogue import CATALOGUE as MODELS
from lipschitz.tasks.losses import LOSSES

Row = tuple[str, ...]


class Listing(NamedTuple):
    """A table: its columns, and a function that makes its rows."""

    columns: Row
    rows: Callable[[], Iterable[Row]]


def _constraints() -> Iterable[Row]:
    for name, kind in CONSTRAINTS.items():
        cost = "second backward" if kind.double_backward else "-"
        origin = origin_of(kind)
        outside = f" ({', '.join(origin.facts().values())})" if origin else ""
        yield name, kind.promise, cost, kind.summary(), kind.source + outside
    for name, reason in REFUSED.items():
        yield name, "-", "-", f"Refused: {reason}.", ""


def _configs(catalogue: Mapping[str, type[Config]]) -> Iterable[Row]:
    return ((name, kind.summary(), kind.source) for name, kind in catalogue.items())


LISTINGS: dict[str, Listing] = {
    "constraints": Listing(("name", "promise", "extra cost", "what it does", "source"), _constraints),
    "datasets": Listing(("name", "what it is", "source"), lambda: _configs(DATASETS)),
    "models": Listing(("name", "what it is", "source"), lambda: _configs(MODELS)),
    "protocols": Listing(("name", "what it is", "source"), lambda: _configs(PROTOCOLS)),
    "losses": Listing(
        ("name", "what it is", "source"), lambda: ((name, loss.summary, loss.source) for name, loss in LOSSES.items())
    ),
    "metrics": Listing(
        ("name", "better", "what it is", "source"),
        lambda: ((name, metric.better or "-", metric.summary, metric.source) for name, metric in METRICS.items()),
    ),
}
"""What can be listed."""
