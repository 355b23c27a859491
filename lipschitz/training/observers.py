"""Observers: hooks that are called while a run trains. Two write the metrics: csv, tensorboard."""

import csv
import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import PrivateAttr, model_validator

from lipschitz.config import Config
from lipschitz.extensions.entry import entry_error
from lipschitz.extensions.point import ExtensionPoint
from lipschitz.files import write_text


class Observer(Config):
    """Called at the events of a run; each hook does nothing by default.

    A subclass is a class in this module, called ``named``, or a file of yours. Each run has a copy of its
    own, so state belongs in private attributes (``_rows: list[int] = PrivateAttr(default_factory=list)``).

    An observer changes nothing of the run: its arguments are copies, and one that raises is dropped with a warning.
    Hooks are called on the host between two slices of training, so a slow one delays the run.
    """

    def on_start(self, folder: Path, definition: dict[str, Any], step: int) -> None:
        """Called when the run starts, and again when it is resumed from a checkpoint.

        Args:
            folder: of the run's results; the observer may write its own files there.
            definition: the content of ``run.json``.
            step: iterations made so far: 0, or the step of the checkpoint. Delete what you
                kept of later steps: they run again. The evaluation at ``step`` itself may be repeated.
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


Row = dict[str, str]


class Csv(Observer):
    """Write ``metrics.csv`` in the run's folder: a row an evaluation; columns step, seconds, and one a metric.

    A metric that an evaluation did not record is empty there.
    """

    named = "csv"
    _path: Path = PrivateAttr(Path())
    _rows: dict[int, Row] = PrivateAttr(default_factory=dict)

    def on_start(self, folder: Path, definition: dict[str, Any], step: int) -> None:
        """Read the rows of a resumed run up to ``step``."""
        self._path = folder / "metrics.csv"
        if self._path.exists():
            with self._path.open(newline="", encoding="utf-8") as file:
                rows = {int(row["step"]): row for row in csv.DictReader(file)}
            self._rows = {at: row for at, row in rows.items() if at <= step}

    def on_record(self, step: int, seconds: float, values: dict[str, float]) -> None:
        """Add a row, and write the table anew: a metric may be recorded for the first time."""
        self._rows[step] = {name: str(value) for name, value in {"step": step, "seconds": seconds, **values}.items()}
        columns = dict.fromkeys(name for row in self._rows.values() for name in row)
        table = io.StringIO()
        writer = csv.DictWriter(table, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows.values())
        write_text(self._path, table.getvalue())


class TensorBoard(Observer):
    """Write event files to ``tensorboard/`` in the run's folder: a scalar a metric, and generated images at the end.

    Needs the package tensorboard, which ``pip install -e '.[tensorboard]'`` installs.
    """

    named = "tensorboard"
    _writer: Any = PrivateAttr(None)
    _step: int = PrivateAttr(0)

    @model_validator(mode="after")
    def _is_installed(self) -> Self:
        if find_spec("tensorboard") is None:
            raise entry_error(
                "needs the package tensorboard, which is not installed; install it with pip install -e '.[tensorboard]'"
            )
        return self

    def on_start(self, folder: Path, definition: dict[str, Any], step: int) -> None:
        """Open the event file; TensorBoard hides what an earlier one holds of later steps."""
        # Imported here: the module needs the package.
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def on_record(self, step: int, seconds: float, values: dict[str, float]) -> None:
        """Write each metric at ``step``."""
        self._step = step
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def on_samples(self, arrays: dict[str, np.ndarray]) -> None:
        """Write generated images, uint8 ``(n, h, w, c)``; samples that are points are left out."""
        samples = arrays.get("samples")
        if samples is not None and samples.ndim == 4:
            self._writer.add_images("samples", samples, self._step, dataformats="NHWC")

    def on_end(self, result: dict[str, Any]) -> None:
        """Close the event file."""
        self._writer.close()


OBSERVERS = ExtensionPoint("observer", "observers", "lipschitz.training.observers", Observer)
