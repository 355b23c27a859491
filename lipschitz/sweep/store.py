"""Read and write the results of a sweep on disk: the only code that knows the paths of its folder. No torch."""

import json
import os
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from lipschitz.errors import InputError
from lipschitz.files import lock, lock_holder, write_atomically, write_json, write_text
from lipschitz.sweep.timing.timing_files import Timings

Status = Literal["finished", "diverged", "failed", "running", "waiting"]
OVER: tuple[Status, ...] = ("finished", "diverged")
"""The statuses of a run that is not started again."""


class Heartbeat(NamedTuple):
    """How far a run has come."""

    step: int
    steps: int
    """Of the whole run."""
    time: float
    """When it was there, in seconds since 1970."""


class RunFolder:
    """One run's folder ``runs/<run id>/``. Only the process that holds its lock writes to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint = path / "checkpoint.pt"
        self.previous_checkpoint = path / "checkpoint.prev.pt"
        self.error = path / "error.txt"
        self._records = path / "records.jsonl"
        self._result = path / "result.json"
        self._samples = path / "samples.npz"
        self._heartbeat = path / "heartbeat.json"
        self._lock = path / "lock"

    def definition(self) -> dict[str, Any]:
        """Return ``run.json``: id, configuration, labels, seed, steps and the resolved run."""
        return _read_json(self.path / "run.json")

    def define(self, definition: dict[str, Any]) -> None:
        """Write ``run.json``."""
        write_json(self.path / "run.json", definition)

    def origins(self) -> list[dict[str, Any]]:
        """Return the provenance of each process that has trained the run, first to last."""
        try:
            return list(self.definition()["provenance"])
        except (OSError, ValueError, KeyError):
            return []

    def records(self) -> list[dict[str, Any]]:
        """Return every complete record, without a last line that a crash cut short."""
        if not self._records.exists():
            return []
        whole, _, _torn = self._records.read_bytes().rpartition(b"\n")
        # One call of the parser for all lines: a report reads a hundred thousand records.
        records: list[dict[str, Any]] = json.loads(b"[" + b",".join(whole.splitlines()) + b"]")
        return records

    def append_records(self, records: Iterable[dict[str, Any]]) -> int:
        """Append one line per record, force them to disk, and return the file's new size in bytes."""
        lines = "".join(json.dumps(record, allow_nan=False) + "\n" for record in records)
        with self._records.open("ab") as file:
            file.write(lines.encode())
            file.flush()
            os.fsync(file.fileno())
            return file.tell()

    def records_size(self) -> int:
        """Return the size of the records in bytes, with a last line that a crash cut short."""
        return self._records.stat().st_size if self._records.exists() else 0

    def cut_records(self, size: int) -> None:
        """Cut the records back to their first ``size`` bytes, those written before the checkpoint that is resumed."""
        os.truncate(self._records, size)

    def result(self) -> dict[str, Any] | None:
        """Return ``result.json``, which marks a run that is over, or None where there is none that can be read."""
        try:
            return _read_json(self._result)
        except (OSError, ValueError):
            return None

    def finish(self, result: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Write ``samples.npz``, then ``result.json``, and remove the error of an earlier try."""
        if arrays:
            write_atomically(self._samples, lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type]
        write_json(self._result, result)
        self.error.unlink(missing_ok=True)
        self._heartbeat.unlink(missing_ok=True)

    def fail(self, reason: str) -> None:
        """Write ``error.txt``: why the run failed. On a full disk nothing is written."""
        with suppress(OSError):
            write_text(self.error, reason.rstrip() + "\n")

    def beat(self, step: int, steps: int) -> None:
        """Write the heartbeat: the step that the run has reached, of how many, and when. It is no part of the results.

        It is not forced to disk, and a disk that refuses it costs the run nothing.
        """
        with suppress(OSError):
            self._heartbeat.write_text(json.dumps({"step": step, "steps": steps, "time": time.time()}), "utf-8")

    def heartbeat(self) -> Heartbeat | None:
        """Return the last heartbeat of a run that is not over, or None where there is none that can be read."""
        try:
            found = _read_json(self._heartbeat)
            return Heartbeat(int(found["step"]), int(found["steps"]), float(found["time"]))
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            return None

    def samples(self) -> dict[str, np.ndarray] | None:
        """Return the arrays that the run saved for the report, or None; nothing in the file is executed."""
        try:
            with np.load(self._samples, allow_pickle=False) as archive:
                return dict(archive)
        except Exception:
            # Damaged bytes make zip, zlib and NumPy raise nearly anything; the report then has no pictures of the run.
            return None

    def status(self) -> Status:
        """Return the status of the run, from its files alone."""
        if result := self.result():
            return "diverged" if result["status"] == "diverged" else "finished"
        if self.is_locked():
            return "running"
        return "failed" if self.error.exists() else "waiting"

    def writing(self, *, wait: bool = True) -> AbstractContextManager[bool]:
        """Make the folder and hold its lock for a block, which without ``wait`` gets False where another one holds it.

        A process that holds it may be about to end; `holder` names it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        return lock(self._lock, wait=wait, signed=True)

    def holder(self) -> str:
        """Return which process holds the lock of the folder, where it is locked."""
        return lock_holder(self._lock)

    def is_locked(self) -> bool:
        """Say whether a process holds the lock of the folder."""
        if not os.access(self._lock, os.W_OK):
            return False
        with lock(self._lock, wait=False) as free:
            return not free


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
            raise InputError(f"{path} is a file; expected a folder of results")
        try:
            if not isinstance(folder.definition().get("runs"), list):
                raise ValueError("it lists no runs")
        except FileNotFoundError:
            raise InputError(f"{path}: no results of a sweep here (no sweep.json)") from None
        except (OSError, ValueError) as error:
            raise InputError(f"{path / 'sweep.json'}: cannot be read: {error}") from None
        return folder

    def definition(self) -> dict[str, Any]:
        """Return ``sweep.json``: name, task, the sweep file's content, and the ids of its runs as planned."""
        return _read_json(self.path / "sweep.json")

    def provenance(self) -> dict[str, Any]:
        """Return ``provenance.json``: commit, command, versions, device and data hashes; empty where there is none."""
        path = self.path / "provenance.json"
        return _read_json(path) if path.exists() else {}

    def timings(self) -> dict[str, dict[str, Any]]:
        """Return the latest timing of each configuration on any device."""
        return self._timings.latest()

    def timing(self, configuration: str, device: str) -> dict[str, Any] | None:
        """Return the timing of one configuration on the kind of device ``device``, or None."""
        return self._timings.on_device(configuration, device)

    def write_timing(self, configuration: str, timing: dict[str, Any]) -> None:
        """Write the timing of one configuration on the kind of device that the timing names."""
        self._timings.write(configuration, timing)

    def define(self, definition: dict[str, Any]) -> None:
        """Write ``sweep.json``."""
        write_json(self.path / "sweep.json", definition)

    def write_provenance(self, provenance: dict[str, Any]) -> None:
        """Write ``provenance.json``."""
        write_json(self.path / "provenance.json", provenance)

    @cached_property
    def _ids(self) -> list[str]:
        return list(self.definition()["runs"])

    def run_ids(self) -> list[str]:
        """Return the ids of the sweep's runs, in the order of the plan."""
        return self._ids

    def run(self, run_id: str) -> RunFolder:
        """Return the folder of one run, which need not exist yet."""
        return RunFolder(self.path / "runs" / run_id)

    def writing(self) -> AbstractContextManager[bool]:
        """Hold the lock of the folder for a block, which gets False where another sweep holds it."""
        return lock(self.path / "lock", wait=False, signed=True)

    def holder(self) -> str:
        """Return which process holds the lock of the folder, where it is locked."""
        return lock_holder(self.path / "lock")


def _read_json(path: Path) -> dict[str, Any]:
    value = json.loads(path.read_text())
    if not isinstance(value, dict):
        raise ValueError(f"{path}: not a JSON object")
    return value
