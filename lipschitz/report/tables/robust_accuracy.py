"""Columns of a table: accuracy of classifiers under PGD, and certified accuracy, by the size ε of the change."""

import pandas as pd

from lipschitz.report.reading.metric_names import heading, parse_metric
from lipschitz.report.statistics.summary import Lookup
from lipschitz.report.tables.table import Cell, Column, seeds_named

ROBUST = {"pgd_accuracy": "Accuracy under PGD", "certified_accuracy": "Certified accuracy"}
"""By base of its metrics: the title of a table."""
ROBUST_NOTE = (
    "After the last step, under l2 changes of an image of size ε, for pixels in [0, 1]. The true robust accuracy of a "
    "network lies between its certified accuracy and that under PGD. Nothing is bold: the tables against none say what "
    "is significant."
)


def epsilon_column(metric: str) -> Column:
    """Return the column of a metric such as ``pgd_accuracy/0.141``: ε is its head, the metric's title is over it."""
    name = parse_metric(metric)
    return Column(name.place + (f" [{name.variant}]" if name.variant else ""), f"{heading(name.base)}, by ε")


def robust_columns(group: pd.DataFrame, lookup: Lookup, base: str) -> tuple[list[Column], list[list[Cell]]]:
    """Return the columns and, one row for each configuration of ``group``, their cells; no columns if none measured.

    Args:
        group: one row a configuration, with its labels.
        lookup: its summary.
        base: of the metrics, a key of `ROBUST`.
    """
    names = sorted((name for name in lookup.metrics if parse_metric(name).base == base), key=_epsilon)
    rows = [row for _, row in group.iterrows()]
    cells = [[Cell(seeds_named(lookup.interval(row, name), row["finished"])) for name in names] for row in rows]
    return [epsilon_column(name) for name in names], cells


def _epsilon(name: str) -> tuple[float, str]:
    parsed = parse_metric(name)
    return float(parsed.place), parsed.variant
