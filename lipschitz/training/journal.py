"""The journal of a run: the observer that keeps its records, checkpoints and result, and from which it is resumed."""

import hashlib
import io
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from pydantic import PrivateAttr

from lipschitz.checksums import is_damage, json_lines, set_aside
from lipschitz.errors import InputError, first_line
from lipschitz.files import write_bytes
from lipschitz.out_of_memory import lacks_memory
from lipschitz.training import checkpoint
from lipschitz.training.checkpoint import Unusable
from lipschitz.training.observers import Observer

JsonValue = float | str | None
"""A metric's value in JSON, which has no infinity and no NaN: these are "inf" and null."""


class RunFiles(Protocol):
    """The files of a run; the store's run folder is one."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        """The file of the newest checkpoint."""

    @property
    def previous_checkpoint(self) -> Path:
        """The file of the checkpoint before it."""

    @property
    def networks(self) -> Path:
        """The file of the networks of a run that is over."""

    def definition(self) -> dict[str, Any]:
        """Return the content of ``run.json``."""

    def append_records(self, records: Iterable[dict[str, Any]]) -> int:
        """Append records and return the size of all records in bytes."""

    def records_size(self) -> int:
        """Return the size of all records in bytes."""

    def recorded(self, size: int) -> bytes:
        """Return the first ``size`` bytes of the records, fewer where there are fewer."""

    def cut_records(self, size: int) -> None:
        """Remove what follows the first ``size`` bytes of the records."""

    def finish(
        self, result: dict[str, Any], arrays: dict[str, np.ndarray], hashes: Mapping[str, str] | None = None
    ) -> None:
        """Write the arrays and the result: the run is finished; ``hashes`` are the SHA-256 of other files by name."""

    def drop_checkpoints(self) -> None:
        """Remove the checkpoints, which nothing reads once the run is finished."""


class Journal(Observer):
    """Writes to the files of a run. Its errors end the run, unlike those of other observers.

    Records are appended. A checkpoint keeps their size and SHA-256, so that a resumed run removes what was recorded
    after it, and is not resumed on records that have changed since.
    """

    _files: RunFiles = PrivateAttr()
    _size: int = PrivateAttr(0)
    _keeps_checkpoints: bool = PrivateAttr()
    _digest: Any = PrivateAttr(default_factory=hashlib.sha256)
    _arrays: dict[str, np.ndarray] = PrivateAttr(default_factory=dict)
    _hashes: dict[str, str] = PrivateAttr(default_factory=dict)

    def __init__(self, files: RunFiles, *, keep_checkpoints: bool = False) -> None:
        super().__init__()
        self._files, self._keeps_checkpoints = files, keep_checkpoints

    def save(self, state: dict[str, Any]) -> None:
        """Write a checkpoint: ``state``, with size and SHA-256 of the records so far."""
        seen = {"size": self._size, "records": self._digest.hexdigest()}
        checkpoint.save({**state, **seen}, self._files.checkpoint, self._files.previous_checkpoint)

    def load(self, identity: Mapping[str, str], steps: int, accept: Callable[[dict[str, Any]], None]) -> list[str]:
        """Hand the newest usable checkpoint to ``accept``, if there is one; remove records that came after it.

        A checkpoint that cannot be used is renamed: it is damaged, of another ``identity`` or number of ``steps``, has
        seen other records, or ``accept`` raises.

        Returns:
            A warning for everything that was lost.

        Raises:
            InputError: ``accept`` raises one: the checkpoint is good, but not to be continued here.
        """
        warnings = []
        for path in (self._files.checkpoint, self._files.previous_checkpoint):
            if not path.exists():
                continue
            try:
                state = checkpoint.read(path)
                checkpoint.check(state, identity, steps)
                seen = checkpoint.check_records(state, self._files.recorded(state["size"]))
                accept(state)
            except InputError as error:
                raise InputError(f"{self._files.path}: {error}") from None
            except Exception as error:
                # The checkpoint may be good.
                if isinstance(error, torch.AcceleratorError) or lacks_memory(error) or not is_damage(error):
                    raise
                reason = str(error)
                if not isinstance(error, Unusable):
                    reason = f"it cannot be loaded ({first_line(error, with_type=True)[:100]})"
                # Renamed, so that the next save does not replace the last good checkpoint by this one.
                warnings.append(f"{path}: checkpoint set aside as {set_aside(path).name}: {reason}")
                continue
            self._size, self._digest, step = state["size"], seen, state["step"]
            break
        else:
            self._size, self._digest, step = 0, hashlib.sha256(), 0
        later = self._files.records_size() - self._size
        if warnings or later:
            then = f"resuming from step {step}" if step else "starting again"
            warnings.append(f"{self._files.path}: {then}{'; later records are removed' if later else ''}")
        if later:
            self._files.cut_records(self._size)
        return warnings

    def on_record(self, step: int, seconds: float, values: dict[str, float]) -> None:
        """Append a record for each metric."""
        records = [
            {"step": step, "seconds": seconds, "metric": metric, "value": value}
            for metric, value in json_values(values).items()
        ]
        self._size = self._files.append_records(records)
        self._digest.update(json_lines(records))

    def on_samples(self, arrays: dict[str, np.ndarray]) -> None:
        """Keep the arrays, to be written with the result."""
        self._arrays = arrays

    def keep(self, networks: dict[str, Any]) -> None:
        """Write the networks' weights for later use, before the run is marked as finished."""
        content = io.BytesIO()
        torch.save(networks, content)
        write_bytes(self._files.networks, content.getbuffer())
        self._hashes[self._files.networks.name] = hashlib.sha256(content.getbuffer()).hexdigest()

    def on_end(self, result: dict[str, Any]) -> None:
        """Write arrays and result, and only then remove the checkpoints."""
        if self._size:
            self._hashes["records.jsonl"] = self._digest.hexdigest()
        self._files.finish(result, self._arrays, self._hashes)
        if not self._keeps_checkpoints:
            self._files.drop_checkpoints()


def json_values(values: dict[str, float]) -> dict[str, JsonValue]:
    """Return ``values`` as JSON has them: infinity, a bound that does not exist, is "inf"; NaN is null."""
    return {
        metric: value if math.isfinite(value) else "inf" if value == math.inf else None
        for metric, value in values.items()
    }
