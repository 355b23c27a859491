"""Observers: hooks that are called while a run trains. Three write the metrics: csv, tensorboard, wandb."""

import csv
import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Self

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

    def on_preview(self, step: int, arrays: dict[str, np.ndarray]) -> None:
        """Called after each evaluation with arrays as those of `on_samples`, of the networks at ``step``.

        They are computed only for observers that have this hook.
        """

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


def _needs(package: str) -> None:
    """Refuse an observer whose package is not installed.

    Raises:
        PydanticCustomError: says how to install it.
    """
    if find_spec(package) is None:
        how = f"install it with pip install -e '.[{package}]'"
        raise entry_error(f"needs the package {package}, which is not installed; {how}")


def _images(arrays: dict[str, np.ndarray]) -> np.ndarray | None:
    """Return generated images, uint8 ``(n, h, w, c)``; None where samples are points or there are none."""
    samples = arrays.get("samples")
    return samples if samples is not None and samples.ndim == 4 else None


class TensorBoard(Observer):
    """Write event files to ``tensorboard/`` in the run's folder: a scalar a metric, σ included, and generated images.

    Needs the package tensorboard, which ``pip install -e '.[tensorboard]'`` installs. Samples that are points are left
    out.
    """

    named = "tensorboard"
    _writer: Any = PrivateAttr(None)

    @model_validator(mode="after")
    def _is_installed(self) -> Self:
        _needs("tensorboard")
        return self

    def on_start(self, folder: Path, definition: dict[str, Any], step: int) -> None:
        """Open the event file; TensorBoard hides what an earlier one holds of later steps."""
        # Imported here: the module needs the package.
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def on_record(self, step: int, seconds: float, values: dict[str, float]) -> None:
        """Write each metric at ``step``."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def on_preview(self, step: int, arrays: dict[str, np.ndarray]) -> None:
        """Write generated images at ``step``."""
        if (images := _images(arrays)) is not None:
            self._writer.add_images("samples", images, step, dataformats="NHWC")
            self._writer.flush()

    def on_end(self, result: dict[str, Any]) -> None:
        """Close the event file."""
        self._writer.close()


class WandB(Observer):
    """Write a run of Weights & Biases to ``wandb/`` in the run's folder: metrics, σ included, and generated images.

    Needs the package wandb, which ``pip install -e '.[wandb]'`` installs. Nothing is sent: ``wandb sync`` does that
    later, unless ``mode`` is online. A resumed run goes on under the same id; of a step that runs again W&B keeps what
    it was told first. Samples that are points are left out.
    """

    named = "wandb"
    mode: Literal["offline", "online"] = "offline"
    """``online`` sends the run while it trains, to the account of the machine's user."""
    project: str = "lipschitz"
    """Project that the runs belong to."""
    _run: Any = PrivateAttr(None)

    @model_validator(mode="after")
    def _is_installed(self) -> Self:
        _needs("wandb")
        return self

    def on_start(self, folder: Path, definition: dict[str, Any], step: int) -> None:
        """Begin the run, with the resolved run as its configuration; runs of one configuration are a group."""
        import wandb

        self._run = wandb.init(
            project=self.project,
            dir=str(folder),
            mode=self.mode,
            # W&B allows ids of 64 characters; the last part of ours is a hash.
            id="-".join(definition["id"].split("-")[-2:]),
            name=definition["id"],
            group=definition["configuration"],
            config={**definition["labels"], "seed": definition["seed"], **definition["run"]},
            resume="allow" if self.mode == "online" else None,
            # Several runs may take turns in one process.
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off"),
        )

    def on_record(self, step: int, seconds: float, values: dict[str, float]) -> None:
        """Log each metric, and the seconds of training, at ``step``."""
        self._run.log({**values, "seconds": seconds}, step=step)

    def on_preview(self, step: int, arrays: dict[str, np.ndarray]) -> None:
        """Log generated images at ``step``, as one picture."""
        import wandb

        if (images := _images(arrays)) is not None:
            self._run.log({"samples": wandb.Image(tiled(images))}, step=step)

    def on_end(self, result: dict[str, Any]) -> None:
        """Add how the run ended, and end it."""
        self._run.summary["status"] = result["status"]
        self._run.finish()


def tiled(images: np.ndarray, columns: int = 8) -> np.ndarray:
    """Return ``images`` ``(n, h, w, c)`` as one, ``(rows h, columns w, c)``, row by row; what is left is black."""
    n, height, width, channels = images.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    grid = np.zeros((rows * columns, height, width, channels), images.dtype)
    grid[:n] = images
    grid = grid.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    return grid.reshape(rows * height, columns * width, channels)


OBSERVERS = ExtensionPoint("observer", "observers", "lipschitz.training.observers", Observer)
