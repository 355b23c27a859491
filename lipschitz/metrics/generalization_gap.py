"""Generalisation gap of a classifier, at the end of training or where training accuracy or loss reaches a level.

Networks that train at different speeds have different gaps only because one has fitted more. So gaps are compared where
all have fitted equally much (Jiang et al. 2020, arXiv:1912.02178, Sec. 3, stop all networks at one training loss).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

ACCURACY_LEVELS = (0.9, 0.95, 0.99)
"""Training accuracies at which the gap is recorded."""
LOSS_LEVELS = (0.5, 0.1, 0.01)
"""Training losses at which the gap is recorded, in nats; 0.01 is the level of Jiang et al. 2020."""


class CurvePoint(NamedTuple):
    """One evaluation during training: accuracies 0 to 1, losses in nats."""

    train_accuracy: float
    test_accuracy: float
    train_loss: float
    test_loss: float

    @property
    def accuracy_gap(self) -> float:
        """Training accuracy less test accuracy."""
        return self.train_accuracy - self.test_accuracy

    @property
    def loss_gap(self) -> float:
        """Test loss less training loss."""
        return self.test_loss - self.train_loss


def gap_at_train_accuracy(curve: Sequence[CurvePoint], level: float) -> float:
    """Return the accuracy gap where training accuracy first reaches ``level``; NaN where it never does.

    Between two points of ``curve``, in order of training, it is interpolated linearly.
    """
    return _first_crossing([point.train_accuracy for point in curve], [point.accuracy_gap for point in curve], level)


def gap_at_train_loss(curve: Sequence[CurvePoint], level: float) -> float:
    """Return the loss gap where training loss first falls to ``level``, as `gap_at_train_accuracy` does."""
    return _first_crossing([-point.train_loss for point in curve], [point.loss_gap for point in curve], -level)


def _first_crossing(progress: Sequence[float], values: Sequence[float], level: float) -> float:
    """Return the value where ``progress`` first reaches ``level`` from below."""
    for index, reached in enumerate(progress):
        if reached >= level:
            if index:
                return _between(progress[index - 1 : index + 1], values[index - 1 : index + 1], level)
            # A network that had passed the level before its first evaluation has no value there.
            return values[0] if reached == level else math.nan
    return math.nan


def _between(progress: Sequence[float], values: Sequence[float], level: float) -> float:
    share = (level - progress[0]) / (progress[1] - progress[0])
    return values[0] + share * (values[1] - values[0])
