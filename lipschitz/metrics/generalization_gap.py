"""Generalisation gap of a classifier, at the end of training or where training accuracy or loss reaches a level.

Networks that train at different speeds have different gaps only because one has fitted more. So gaps are compared where
all have fitted equally much (Jiang et al. 2020, arXiv:1912.02178, Sec. 3, stop all networks at one training loss).
"""

import math
import sys
from collections.abc import Sequence
from typing import NamedTuple

ACCURACY_LEVELS = (0.9, 0.95, 0.99)
"""Training accuracies at which the gap is recorded."""
LOSS_LEVELS = (0.5, 0.1, 0.01)
"""Training losses at which the gap is recorded, in nats; 0.01 is the level of Jiang et al. 2020."""


WIDEST_ACCURACY = 0.1
"""Most that training accuracy may rise between two evaluations for the gap between them to be interpolated."""
WIDEST_LOSS = math.log(4)
"""Most that the logarithm of training loss may fall between two evaluations for the gap between them to be
interpolated."""


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

    Between two points of ``curve``, in order of training, it is interpolated linearly. It is NaN where these are
    further apart than `WIDEST_ACCURACY`: a straight line would then depend on how fast the network fits.
    """
    progress = [point.train_accuracy for point in curve]
    return _first_crossing(progress, [point.accuracy_gap for point in curve], level, WIDEST_ACCURACY)


def gap_at_train_loss(curve: Sequence[CurvePoint], level: float) -> float:
    """Return the loss gap where training loss first falls to ``level``; NaN where it never does.

    It is interpolated linearly in the logarithm of the loss, unless two points are further apart than `WIDEST_LOSS`.
    """
    smallest = sys.float_info.min
    progress = [-math.log(max(point.train_loss, smallest)) for point in curve]
    return _first_crossing(progress, [point.loss_gap for point in curve], -math.log(level), WIDEST_LOSS)


def _first_crossing(progress: Sequence[float], values: Sequence[float], level: float, widest: float) -> float:
    """Return the value where ``progress`` first reaches ``level`` from below."""
    for index, reached in enumerate(progress):
        if reached == level:
            return values[index]
        if reached > level:
            # A network that had passed the level before its first evaluation has no value there.
            if index == 0 or reached - progress[index - 1] > widest:
                return math.nan
            share = (level - progress[index - 1]) / (reached - progress[index - 1])
            return values[index - 1] + share * (values[index] - values[index - 1])
    return math.nan
