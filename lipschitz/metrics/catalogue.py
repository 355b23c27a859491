"""Every metric, and the description of every recorded value by name. Imports neither torch nor SciPy."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from lipschitz.errors import InputError, nearest
from lipschitz.extensions.discovery import discover
from lipschitz.extensions.point import ExtensionPoint
from lipschitz.metrics.base import JUDGED, Judged, Metric
from lipschitz.metrics.description import Description
from lipschitz.metrics.recorded import RECORDED


class MetricPoint(ExtensionPoint[Metric]):
    """Metrics by name. The package's own are in a folder for each kind of samples that they judge."""

    @cached_property
    def own(self) -> dict[str, type[Metric]]:
        """The package's own metrics by name, in the order of tables."""
        found: dict[str, type[Metric]] = {}
        for judged in JUDGED:
            kinds = discover(f"lipschitz.metrics.{judged}", self.base)
            found |= dict(sorted(kinds.items(), key=lambda item: (item[1].order, item[0])))
        return found

    def judging(self, judged: Judged, context: Any, further: Iterable[Metric] = ()) -> tuple[Metric, ...]:
        """Return the metrics that judge such samples and apply to such data: the package's own, and of ``further``."""
        metrics = (*(kind() for kind in self.own.values()), *further)
        return tuple(metric for metric in metrics if metric.judges == judged and metric.applies(context))


METRICS = MetricPoint("metric", "metrics", "lipschitz.metrics", Metric)


class Catalogue(Mapping[str, Description]):
    """Descriptions by recorded name, in the order of tables: those of the package, then those that results declare."""

    def __init__(self, own: Iterable[Description]) -> None:
        self.own = {description.name: description for description in own}
        """Descriptions of the package's own."""
        self._declared: dict[str, Description] = {}

    def declare(self, descriptions: Iterable[Description]) -> None:
        """Add metrics of files and other packages, as results describe them; the package's own stay as they are."""
        self._declared |= {one.name: one for one in descriptions if one.name not in self.own}

    def __getitem__(self, name: str) -> Description:
        return self.own[name] if name in self.own else self._declared[name]

    def __iter__(self) -> Iterator[str]:
        return iter((*self.own, *self._declared))

    def __len__(self) -> int:
        return len(self.own) + len(self._declared)


CATALOGUE = Catalogue((*(kind().describe() for kind in METRICS.own.values()), *RECORDED))
"""The description of every recorded value by name."""


def metric_of(name: str, further: Iterable[Metric] = ()) -> Description:
    """Return the description of a recorded name, with or without the slash and what follows it.

    Args:
        name: as in records.
        further: metrics of files and other packages that may have the name.

    Raises:
        InputError: the name is unknown; the message offers the nearest name.
    """
    head = name.partition("/")[0]
    known = {metric.label(): metric for metric in further}
    if head in known:
        return known[head].describe()
    try:
        return CATALOGUE[head]
    except KeyError:
        raise InputError(f"unknown metric '{head}'; {nearest(head, [*CATALOGUE, *known])}") from None
