"""Where the files of a run are: in its folder, or in that of an attempt by a process that joined. No torch."""

import os
from functools import cached_property
from pathlib import Path
from typing import Any

from lipschitz.checksums import read_sealed
from lipschitz.sweep.file_shapes import check_result
from lipschitz.sweep.heartbeat import Heartbeat

ATTEMPT = "attempt"
"""Key of ``result.json``: the folder of the attempt that made it; its name begins with this word and a hyphen."""

RECORDS = "records.jsonl"
"""The file of a run's records."""


class RunPaths:
    """The files of one run, in its folder ``runs/<run id>/``.

    What a process that joined has written is read in the attempt that the result names, until it was moved to the run's
    folder; of a run that is not over, in the attempt that has come farthest.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run_id = path.name

    # Paths are made when they are asked for: a plan may have ten thousand runs, of which a command asks for little.

    @cached_property
    def checkpoint(self) -> Path:
        """The newest checkpoint of a run that is not over."""
        return self.path / "checkpoint.pt"

    @cached_property
    def previous_checkpoint(self) -> Path:
        """The checkpoint before it."""
        return self.path / "checkpoint.prev.pt"

    @cached_property
    def error(self) -> Path:
        """Why the run failed."""
        return self.path / "error.txt"

    @cached_property
    def heartbeat(self) -> Heartbeat:
        """Which step the run has reached."""
        return Heartbeat.of(self.path)

    @cached_property
    def _result(self) -> Path:
        return self.path / "result.json"

    @cached_property
    def _lock(self) -> Path:
        return self.path / "lock"

    def attempts(self) -> list[Path]:
        """Return the folders of attempts, in the order of their names."""
        try:
            with os.scandir(self.path) as entries:
                names = sorted(entry.name for entry in entries if entry.name.startswith(f"{ATTEMPT}-"))
        except OSError:
            return []
        return [self.path / name for name in names]

    def published(self) -> Path | None:
        """Return the folder of the attempt that made the result, which need not be there any more."""
        try:
            name = self._read_result().get(ATTEMPT)
        except (OSError, ValueError):
            return None
        return self.path / Path(name).name if isinstance(name, str) else None

    def is_over(self) -> bool:
        """Say whether there is a result, without a look at it."""
        return self._result.exists()

    def place(self, name: str) -> Path:
        """Return where a file of the run is read. It is written in ``path``."""
        attempts = self.attempts()
        if attempts and self.is_over():
            attempts = [path for path in attempts if path == self.published()]
        there = [path for path in attempts if (path / name).exists()]
        if not there:
            return self.path / name
        if self.is_over():
            return there[0] / name
        if (self.path / name).exists():
            there.insert(0, self.path)
        return max(there, key=lambda path: beat.step if (beat := Heartbeat.of(path).read()) else -1) / name

    @property
    def networks(self) -> Path:
        """The file of the networks of a run that is over."""
        return self.place("networks.pt")

    @property
    def _definition(self) -> Path:
        return self.place("run.json")

    @property
    def _records(self) -> Path:
        return self.place(RECORDS)

    @property
    def _samples(self) -> Path:
        return self.place("samples.npz")

    def _read_result(self) -> dict[str, Any]:
        return check_result(read_sealed(self._result, self._named(self._result)))

    def _named(self, path: Path) -> str:
        """Return what a file is called where its checksum is made: its name with the run's id."""
        return f"{self.run_id}/{path.name}"
