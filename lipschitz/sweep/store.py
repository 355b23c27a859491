"""Read and write the results of a sweep on disk: the only code that knows the paths of its folder. No torch."""

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any

from lipschitz.checksums import read_sealed, write_sealed
from lipschitz.errors import InputError
from lipschitz.files import remove_temporaries
from lipschitz.locks import lock, lock_holder
from lipschitz.sweep.attempt import clear_attempts
from lipschitz.sweep.file_shapes import check_sweep
from lipschitz.sweep.run_folder import RunFolder
from lipschitz.sweep.timing.timing_files import Timings


class SweepFolder:
    """The folder of a sweep: its definition, provenance, timings and runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._timings = Timings(path / "timing")

    @classmethod
    def open(cls, path: Path) -> "SweepFolder":
        """Open the folder of a sweep that was started.

        Raises:
            InputError: the folder is not there, is a file, or holds no ``sweep.json`` that can be read.
        """
        folder = cls(path)
        if path.is_file():
            own = ", such as results/NAME for a sweep file with name: NAME" if path.suffix in (".yaml", ".yml") else ""
            raise InputError(f"{path} is a file; expected a folder of results{own}")
        try:
            check_sweep(folder.definition())
        except FileNotFoundError:
            raise InputError(f"{path}: no results of a sweep here (no sweep.json)") from None
        except (OSError, ValueError) as error:
            raise InputError(f"{path / 'sweep.json'}: cannot be read: {error}") from None
        return folder

    def definition(self) -> dict[str, Any]:
        """Return ``sweep.json``: name, task, the sweep file's content, and the ids of its runs as planned."""
        return read_sealed(self.path / "sweep.json", "sweep.json")

    def provenance(self) -> dict[str, Any]:
        """Return ``provenance.json``: commit, command, versions, device and data hashes; empty where there is none.

        Raises:
            OSError, ValueError: it is there and cannot be read.
        """
        path = self.path / "provenance.json"
        return read_sealed(path, path.name) if path.exists() else {}

    def timings(self, warnings: list[str] | None = None) -> dict[str, dict[str, Any]]:
        """Return the latest timing of each configuration on any device; ``warnings`` gets the unreadable ones."""
        return self._timings.latest(warnings)

    def timing(self, configuration: str, device: str) -> dict[str, Any] | None:
        """Return the timing of one configuration on the kind of device ``device``, or None."""
        return self._timings.on_device(configuration, device)

    def write_timing(
        self, configuration: str, timing: dict[str, Any], *, joins: bool = False, adds: bool = False
    ) -> None:
        """Write the timing of one configuration on the kind of device that the timing names.

        Args:
            configuration: what was timed.
            timing: see `lipschitz.sweep.timing.timing_pass.summarise_rounds`.
            joins: whether other processes may write, too; the first timing on a kind of device then counts.
            adds: whether it is one that was written before, to which something was added.
        """
        if joins:
            self._timings.write_beside_others(configuration, timing, replaces=adds)
        else:
            self._timings.write(configuration, timing)

    def define(self, definition: dict[str, Any]) -> None:
        """Write ``sweep.json``."""
        write_sealed(self.path / "sweep.json", definition, "sweep.json")

    def write_provenance(self, provenance: dict[str, Any]) -> None:
        """Write ``provenance.json``."""
        write_sealed(self.path / "provenance.json", provenance, "provenance.json")

    @cached_property
    def _runs(self) -> Path:
        return self.path / "runs"

    @cached_property
    def _ids(self) -> list[str]:
        return list(self.definition()["runs"])

    def run_ids(self) -> list[str]:
        """Return the ids of the sweep's runs, in the order of the plan."""
        return self._ids

    def run(self, run_id: str, within: str = "runs") -> RunFolder:
        """Return the folder of one run, which need not exist yet; it is in the folder ``within`` of the sweep."""
        return RunFolder((self._runs if within == "runs" else self.path / within) / run_id)

    @property
    def members(self) -> Path:
        """The folder of the files of processes that take part in the sweep at the moment."""
        return self.path / "joined" / "members"

    @property
    def claims(self) -> Path:
        """The folder of the claims of processes that joined the sweep."""
        return self.path / "joined" / "claims"

    def has_provenance(self) -> bool:
        """Say whether there is a provenance that can be read."""
        try:
            return bool(self.provenance())
        except (OSError, ValueError):
            return False

    def remove_leftovers(self, run_ids: Iterable[str]) -> None:
        """Remove what crashed processes left in the folder and in those of the runs; see `RunFolder`."""
        for folder in (self.path, self.path / "timing", self.path / "plots"):
            # A report writes here without a lock.
            remove_temporaries(folder, is_locked=False)
        for run_id in run_ids:
            run = self.run(run_id)
            clear_attempts(run, is_free=True)
            run.remove_leftovers()

    def clear_attempts(self, run_ids: Iterable[str]) -> None:
        """Move the files of runs that are over to their folders, where a process that joined ended before it had.

        No sweep by itself is in the folder.
        """
        for run_id in run_ids:
            clear_attempts(self.run(run_id), is_free=True)

    def has_runs(self) -> bool:
        """Return whether the folders of runs are here, which a results folder that was only copied lacks."""
        return (self.path / "runs").exists()

    def runs(self) -> list[RunFolder]:
        """Return every run folder that is there, also those that are not in the plan, in the order of their names."""
        return [RunFolder(self._runs / name) for name in self.run_folders()]

    def run_folders(self) -> list[str]:
        """Return the name of every run folder that is there, also of those not in the plan, sorted."""
        try:
            with os.scandir(self._runs) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir())
        except OSError:
            return []

    def writing(self) -> AbstractContextManager[bool]:
        """Hold the lock of the folder for a block, which gets False where another sweep holds it."""
        return lock(self.path / "lock", wait=False, signed=True)

    def holder(self) -> str:
        """Return which process holds the lock of the folder, where it is locked."""
        return lock_holder(self.path / "lock")
