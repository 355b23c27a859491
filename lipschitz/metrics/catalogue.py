"""Every metric, and the description of every recorded value by name. Imports neither torch nor SciPy."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from importlib import import_module
from typing import Any

from pydantic import ValidationInfo

from lipschitz.errors import InputError, nearest
from lipschitz.extensions.discovery import defined
from lipschitz.extensions.entry import annotations, config_of, entry_error, folder_of, label_text, schema_of
from lipschitz.extensions.point import ExtensionPoint, by_name
from lipschitz.metrics.base import JUDGED, Judged, Metric
from lipschitz.metrics.description import Description
from lipschitz.metrics.recorded import RECORDED


class MetricPoint(ExtensionPoint[Metric]):
    """Metrics by name. The package's own are in a module for each kind of samples that they judge.

    The other modules of this package are not imported: they need torch or SciPy.
    """

    @cached_property
    def own(self) -> dict[str, type[Metric]]:
        """The package's own metrics by name, in the order of tables."""
        modules = (import_module(f"lipschitz.metrics.{name}") for name in JUDGED if name != "images")
        kinds = by_name(kind for module in modules for kind in defined(module, self.base))
        return dict(sorted(kinds.items(), key=lambda item: (JUDGED.index(item[1].judges), item[1].order, item[0])))

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


def _parse(entry: Any, info: ValidationInfo) -> Metric:
    """Return the metric that ``entry`` names.

    Raises:
        PydanticCustomError: it is unknown, wrong, the package's own, or has the name of another recorded value.
    """
    metric = entry if isinstance(entry, Metric) else config_of(METRICS, entry, folder_of(info))
    name = metric.name()
    if name in METRICS.own:
        said = f"{name} is measured wherever it applies"
        raise entry_error(f"{said}; allowed: metrics of other packages, or path/to/file.py:ClassName")
    if name in CATALOGUE.own:
        raise entry_error(f"'{name}' is the name of another recorded value; give the metric another name")
    if not re.fullmatch(r"[\w.-]+", name) or re.search(r"/| \[", metric.label()):
        raise entry_error(f"'{metric.label()}' cannot be the name of a recorded value; expected no '/' and no ' ['")
    return metric


FURTHER_METRIC = annotations(_parse, lambda: schema_of(METRICS, without=METRICS.own), label_text)
"""Pydantic annotations of a metric that is not the package's own."""
