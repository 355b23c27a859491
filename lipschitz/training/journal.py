"""The journal of a run: the observer that keeps its records, checkpoints and result, and from which it is resumed."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from pydantic import PrivateAttr

from lipschitz.files import write_atomically
from lipschitz.training import checkpoint
from lipschitz.training.observers import Observer

JsonValue = float | str | None
"""A metric's value in JSON, which has no infinity and no NaN: these are "inf" and null."""


class RunFiles(Protocol):
    """The files of a run; the store's run folder is one."""

    path: Path
    checkpoint: Path
    previous_checkpoint: Path
    networks: Path

    def definition(self) -> dict[str, Any]:
        """Return the content of ``run.json``."""

    def append_records(self, records: Iterable[dict[str, Any]]) -> int:
        """Append records and return the size of all records in bytes."""

    def records_size(self) -> int:
        """Return the size of all records in bytes."""

    def cut_records(self, size: int) -> None:
        """Remove what follows the first ``size`` bytes of the records."""

    def finish(self, result: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Write the arrays and the result: the run is finished."""

    def drop_checkpoints(self) -> None:
        """Remove the checkpoints, which nothing reads once the run is finished."""


class Journal(Observer):
    """Writes to the files of a run. Its errors end the run, unlike those of other observers.

    Records are appended; a checkpoint keeps their size, so that a resumed run removes what was recorded after it.
    """

    _files: RunFiles = PrivateAttr()
    _size: int = PrivateAttr(0)
    _keeps_checkpoints: bool = PrivateAttr()
    _arrays: dict[str, np.ndarray] = PrivateAttr(default_factory=dict)

    def __init__(self, files: RunFiles, *, keep_checkpoints: bool = False) -> None:
        super().__init__()
        self._files, self._keeps_checkpoints = files, keep_checkpoints

    @property
    def size(self) -> int:
        """Size of the records in bytes."""
        return self._size

    def save(self, state: dict[str, Any]) -> None:
        """Write a checkpoint."""
        checkpoint.save(state, self._files.checkpoint, self._files.previous_checkpoint)

    def load(self) -> tuple[dict[str, Any] | None, list[str]]:
        """Return the newest checkpoint that can be used, or None, and warnings; remove records that came after it."""
        path, written = self._files.checkpoint, self._files.records_size()
        state, warnings = checkpoint.load(path, self._files.previous_checkpoint)
        if state is not None and state.get("format") != checkpoint.FORMAT:
            warnings.append(f"{path}: written by an earlier version of lipschitz; starting again")
            state = None
        if state is not None and written < state["size"]:
            warnings.append(f"{path}: counts {state['size']} bytes of records, found {written}; starting again")
            state = None
        self._size, step = (state["size"], state["step"]) if state is not None else (0, 0)
        if written > self._size:
            warnings.append(f"{path}: resuming from step {step}; later records are removed")
            self._files.cut_records(self._size)
        return state, warnings

    def on_record(self, step: int, seconds: float, values: dict[str, float]) -> None:
        """Append a record for each metric."""
        self._size = self._files.append_records(
            {"step": step, "seconds": seconds, "metric": metric, "value": value}
            for metric, value in json_values(values).items()
        )

    def on_samples(self, arrays: dict[str, np.ndarray]) -> None:
        """Keep the arrays, to be written with the result."""
        self._arrays = arrays

    def keep(self, networks: dict[str, Any]) -> None:
        """Write the networks' weights for later use, before the run is marked as finished."""
        write_atomically(self._files.networks, lambda file: torch.save(networks, file))

    def on_end(self, result: dict[str, Any]) -> None:
        """Write arrays and result, and only then remove the checkpoints."""
        self._files.finish(result, self._arrays)
        if not self._keeps_checkpoints:
            self._files.drop_checkpoints()


def json_values(values: dict[str, float]) -> dict[str, JsonValue]:
    """Return ``values`` as JSON has them: infinity, a bound that does not exist, is "inf"; NaN is null."""
    return {
        metric: value if math.isfinite(value) else "inf" if value == math.inf else None
        for metric, value in values.items()
    }
