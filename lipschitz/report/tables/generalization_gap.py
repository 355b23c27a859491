"""Columns of a table: accuracy of classifiers on training and test images, and the gap, at the end and at levels."""

import pandas as pd

from lipschitz.report.statistics.generalization_gap import AT_ACCURACY, AT_LOSS
from lipschitz.report.statistics.summary import Lookup
from lipschitz.report.tables.table import Cell, Column, seeds_named

GAP = "accuracy_gap"
GAP_NOTE = (
    "Gap: training accuracy less test accuracy, or test loss (cross-entropy, nat) less training loss. At a training "
    "accuracy or loss: where a run first reaches it, interpolated between two evaluations; there, fast and slow "
    "methods fit equally much. A run that never does is in no mean, and n says so. Nothing is bold: a network that "
    "fits nothing has no gap."
)
_AFTER = {
    Column("training", "Accuracy"): "accuracy/train",
    Column("test", "Accuracy"): "accuracy/test",
    Column("accuracy", "Gap after the last step"): GAP,
    Column("loss", "Gap after the last step"): "loss_gap",
}


def gap_columns(group: pd.DataFrame, lookup: Lookup) -> tuple[list[Column], list[list[Cell]]]:
    """Return the columns and, one row for each configuration of ``group``, their cells.

    Levels of training accuracy and loss that no run reached have no column.
    """
    levels = {Column(f"{level:g}", "Gap at training accuracy"): name for level, name in AT_ACCURACY.items()}
    levels |= {Column(f"{level:g}", "Loss gap at training loss"): name for level, name in AT_LOSS.items()}
    rows = [row for _, row in group.iterrows()]
    reached = {column: name for column, name in levels.items() if any(lookup.interval(row, name).n for row in rows)}
    metrics = _AFTER | reached
    cells = [
        [Cell(seeds_named(lookup.interval(row, name), row["finished"])) for name in metrics.values()] for row in rows
    ]
    return list(metrics), cells
