"""Entries of ``evaluation: {metrics: [...]}``: metrics of installed packages by name, and of files."""

import re
from typing import Any

from pydantic import ValidationInfo

from lipschitz.extensions.entry import FILE_SCHEMA, annotations, config_of, fields_schema, folder_of, invalid, shown
from lipschitz.extensions.point import FILE_PATTERN
from lipschitz.metrics.base import Metric
from lipschitz.metrics.catalogue import CATALOGUE, METRICS


def _parse(entry: Any, info: ValidationInfo) -> Metric:
    """Return the metric that ``entry`` names.

    Raises:
        PydanticCustomError: it is unknown, wrong, the package's own, or has the name of another recorded value.
    """
    metric = entry if isinstance(entry, Metric) else config_of(METRICS, entry, folder_of(info))
    name = metric.name()
    if name in METRICS.own:
        said = f"{name} is measured wherever it applies"
        raise invalid(f"{said}; allowed: metrics of other packages, or path/to/file.py:ClassName")
    if name in CATALOGUE.own:
        raise invalid(f"'{name}' is the name of another recorded value; give the metric another name")
    if not re.fullmatch(r"[\w.-]+", name) or re.search(r"/| \[", metric.label()):
        raise invalid(f"'{metric.label()}' cannot be the name of a recorded value; expected no '/' and no ' ['")
    return metric


def _schema() -> dict[str, Any]:
    offered = {name: kind for name, kind in METRICS.items() if name not in METRICS.own}
    with_fields = {
        "type": "object",
        "properties": {name: fields_schema(kind) for name, kind in offered.items()},
        "patternProperties": {FILE_PATTERN: {"type": "object"}},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
    return {"anyOf": [*([{"enum": [*offered]}] if offered else []), FILE_SCHEMA, with_fields]}


FURTHER_METRIC = annotations(_parse, _schema(), shown)
"""Pydantic annotations of a metric that is not the package's own."""
