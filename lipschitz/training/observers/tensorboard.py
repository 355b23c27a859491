"""The observer tensorboard: the metrics of a run as scalars for TensorBoard."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import PrivateAttr, model_validator

from lipschitz.extensions.entry import invalid
from lipschitz.training.observers.base import Observer


class TensorBoard(Observer):
    """Write event files to ``tensorboard/`` in the run's folder: a scalar a metric, and generated images at the end.

    Needs the package tensorboard, which ``pip install 'lipschitz[tensorboard]'`` installs.
    """

    _writer: Any = PrivateAttr(None)
    _step: int = PrivateAttr(0)

    @model_validator(mode="after")
    def _is_installed(self) -> Self:
        if find_spec("tensorboard") is None:
            raise invalid("needs the package tensorboard, which is not installed; install lipschitz[tensorboard]")
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
