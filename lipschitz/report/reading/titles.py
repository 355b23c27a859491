"""What a column or an axis is called."""

from lipschitz.metrics.catalogue import CATALOGUE
from lipschitz.report.reading.protocols import base


def heading(metric: str) -> str:
    """Return a metric's title, unit, protocol (where there are several) and an arrow for the good direction."""
    known = CATALOGUE.get(base(metric))
    if known is None:
        return metric
    arrow = {"lower": " ↓", "higher": " ↑", None: ""}[known.better]
    return known.label + metric.removeprefix(base(metric)) + arrow
