"""Generalisation gap of classifiers where training accuracy or training loss reaches a level, run by run."""

import pandas as pd

from lipschitz.metrics.generalization_gap import (
    ACCURACY_LEVELS,
    LOSS_LEVELS,
    CurvePoint,
    gap_at_train_accuracy,
    gap_at_train_loss,
)

AT_ACCURACY = {level: f"accuracy_gap_at_train_accuracy/{level:g}" for level in ACCURACY_LEVELS}
"""By training accuracy, the name in ``summary.csv`` of the accuracy gap there."""
AT_LOSS = {level: f"loss_gap_at_train_loss/{level:g}" for level in LOSS_LEVELS}
"""By training loss in nats, the name in ``summary.csv`` of the gap of the loss there."""
_CURVE = ["accuracy/train", "accuracy/test", "cross_entropy/train", "cross_entropy/test"]


def gaps_at_levels(records: pd.DataFrame) -> pd.DataFrame:
    """Return the gaps at each level as outcomes after the last step: run, which, metric, value.

    A run that never reaches a level has no row for it, and neither has one that did not record all four values.

    Args:
        records: run, step, metric, value.
    """
    curves = records[records["metric"].isin(_CURVE)].pivot(index=["run", "step"], columns="metric", values="value")
    curves = curves.reindex(columns=_CURVE).dropna()
    rows = []
    for run, points in curves.groupby(level="run", sort=False):
        curve = [CurvePoint(*map(float, point)) for point in points.itertuples(index=False)]
        found = {name: gap_at_train_accuracy(curve, level) for level, name in AT_ACCURACY.items()}
        found |= {name: gap_at_train_loss(curve, level) for level, name in AT_LOSS.items()}
        rows += [(run, "last", name, value) for name, value in found.items()]
    table = pd.DataFrame(rows, columns=["run", "which", "metric", "value"]).astype({"value": float})
    return table.dropna()
