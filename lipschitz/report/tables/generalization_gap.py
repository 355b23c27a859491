"""Columns of tables: accuracy of classifiers on training and test images and the gap; the gap where all fit equally."""

from collections.abc import Mapping

import pandas as pd

from lipschitz.report.statistics.generalization_gap import AT_ACCURACY, AT_LOSS
from lipschitz.report.statistics.summary import Lookup
from lipschitz.report.tables.table import Cell, Column, seeds_named

GAP = "accuracy_gap"
GAP_NOTE = (
    "Gap: training accuracy less test accuracy, or test loss (cross-entropy, nat) less training loss. Nothing is bold: "
    "a network that fits nothing has no gap."
)
LEVELS_NOTE = (
    "Where a run first reaches a training accuracy or loss, interpolated between two close evaluations; there, "
    "fast and slow methods fit equally much. A run that never does, or passes the level in too wide a step (0.1 of "
    "the accuracy, a factor of 4 of the loss), is in no mean, and n says so. Gap of accuracy: training less test. Gap "
    "of the loss (cross-entropy, nat): test less training. Nothing is bold."
)
_AFTER = {
    Column("training", "Accuracy"): "accuracy/train",
    Column("test", "Accuracy"): "accuracy/test",
    Column("of accuracy", "Gap after the last step"): GAP,
    Column("of the loss", "Gap after the last step"): "loss_gap",
}
LEVELS = {
    **{name: Column(f"{level:g}", "Gap of accuracy at training accuracy") for level, name in AT_ACCURACY.items()},
    **{name: Column(f"{level:g}", "Gap of the loss at training loss") for level, name in AT_LOSS.items()},
}
"""By metric, its column."""
_Part = tuple[list[Column], list[list[Cell]]]


def gap_columns(group: pd.DataFrame, lookup: Lookup) -> _Part:
    """Return accuracies and gaps after the last step: columns and, one row for each of ``group``, their cells."""
    return _columns(_AFTER, group, lookup)


def level_columns(group: pd.DataFrame, lookup: Lookup) -> _Part:
    """Return the gaps at levels of training accuracy and loss; levels that no run reached have no column."""
    rows = [row for _, row in group.iterrows()]
    reached = {column: name for name, column in LEVELS.items() if any(lookup.interval(row, name).n for row in rows)}
    return _columns(reached, group, lookup)


def _columns(metrics: Mapping[Column, str], group: pd.DataFrame, lookup: Lookup) -> _Part:
    cells = [
        [Cell(seeds_named(lookup.interval(row, name), row["finished"])) for name in metrics.values()]
        for _, row in group.iterrows()
    ]
    return list(metrics), cells
