"""The base class of observers: hooks that are called while a run trains."""

from pathlib import Path
from typing import Any

import numpy as np

from lipschitz.config import Config


class Observer(Config):
    """Called at the events of a run; each hook does nothing by default.

    A subclass is one file in this package, named after the observer, or a file of yours. Each run has a copy of its
    own, so state belongs in private attributes (``_rows: list[int] = PrivateAttr(default_factory=list)``).

    An observer changes nothing of the run: its arguments are copies, and one that raises is dropped with a warning.
    Hooks are called on the host between two slices of training, so a slow one delays the run.
    """

    def on_start(self, folder: Path, definition: dict[str, Any], step: int) -> None:
        """Called when the run starts, and again when it is resumed from a checkpoint.

        Args:
            folder: of the run's results; the observer may write its own files there.
            definition: the content of ``run.json``.
            step: iterations made so far: 0, or the step of the checkpoint. Later steps are trained and evaluated
                again, so what was kept of them must be removed. The evaluation at ``step`` itself may be repeated.
        """

    def on_step(self, step: int) -> None:
        """Called after each slice of iterations; ``step`` is the number made so far.

        On CUDA the device may still be at work on the slice.
        """

    def on_record(self, step: int, seconds: float, values: dict[str, float]) -> None:
        """Called at each evaluation, with training time in seconds and the value of each metric by name."""

    def on_samples(self, arrays: dict[str, np.ndarray]) -> None:
        """Called at the end of a run that did not diverge, with the arrays of ``samples.npz`` by name."""

    def on_end(self, result: dict[str, Any]) -> None:
        """Called when the run has finished or diverged, with the content of ``result.json``."""
