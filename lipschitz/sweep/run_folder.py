"""Read and write the files of one run on disk, and notice damaged ones. No torch."""

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lipschitz.checksums import SHOWN, is_damage, json_lines, read_sealed, set_aside, sha256_of_file, write_sealed
from lipschitz.errors import first_line
from lipschitz.files import (
    check_regular,
    open_regular,
    read_bytes,
    remove_temporaries,
    sync_folder,
    write_bytes,
    write_text,
)
from lipschitz.locks import is_held, lock, lock_holder
from lipschitz.sweep.file_shapes import check_records
from lipschitz.sweep.run_paths import ATTEMPT, RECORDS, RunPaths

Status = Literal["finished", "diverged", "damaged", "failed", "running", "waiting"]
OVER: tuple[Status, ...] = ("finished", "diverged")
"""The statuses of a run that is not started again."""
CHECKPOINTS_KEPT = "checkpoints_kept"
"""Key of a run's provenance: its checkpoints stay when it is over."""
HASHES = "files"
"""Key of ``result.json``: the SHA-256 of the run's other files, by name."""


def npz_bytes(arrays: Mapping[str, np.ndarray]) -> memoryview:
    """Return the content of a compressed .npz file with ``arrays`` by name: the same bytes for the same arrays."""
    content = io.BytesIO()
    # Its type stub takes every name for the flag ``allow_pickle``.
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
    return content.getbuffer()


class RunFolder(RunPaths):
    """One run's folder ``runs/<run id>/``. Only the process that holds its lock writes to it.

    Processes that join a sweep take no lock: each writes to an `Attempt`, a folder of its own in this one.
    """

    def definition(self) -> dict[str, Any]:
        """Return ``run.json``: id, configuration, labels, seed, steps, inputs and the resolved run."""
        return read_sealed(path := self._definition, self._named(path))

    def define(self, definition: dict[str, Any]) -> None:
        """Write ``run.json``."""
        write_sealed(path := self.path / "run.json", definition, self._named(path))

    def origins(self) -> list[dict[str, Any]]:
        """Return the provenance of each process that has trained the run, first to last."""
        try:
            return [origin for origin in self.definition()["provenance"] if isinstance(origin, dict)]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def records(self) -> list[dict[str, Any]]:
        """Return every complete record, without a last line that a crash cut short.

        Raises:
            OSError, ValueError: the file cannot be read, or holds something else.
        """
        if not self._records.exists():
            return []
        whole, _, _torn = read_bytes(self._records).rpartition(b"\n")
        # One call of the parser for all lines: a report reads a hundred thousand records.
        try:
            return check_records(json.loads(b"[" + b",".join(whole.splitlines()) + b"]"))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{self._records.name}: {first_line(error)}") from None

    def append_records(self, records: Iterable[dict[str, Any]]) -> int:
        """Append one line per record, force them to disk, and return the file's new size in bytes."""
        path = self.path / RECORDS
        is_new = not path.exists()
        lines = json_lines(records)
        with path.open("ab") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        if is_new:
            sync_folder(self.path)
        return size

    def records_size(self) -> int:
        """Return the size of the records in bytes, with a last line that a crash cut short."""
        path = self.path / RECORDS
        return path.stat().st_size if path.exists() else 0

    def recorded(self, size: int) -> bytes:
        """Return the first ``size`` bytes of the records, fewer where there are fewer."""
        path = self.path / RECORDS
        if not path.exists():
            return b""
        check_regular(path)
        with path.open("rb") as file:
            return file.read(size)

    def cut_records(self, size: int) -> None:
        """Cut the records back to their first ``size`` bytes, those written before the checkpoint that is resumed."""
        os.truncate(self.path / RECORDS, size)

    def result(self) -> dict[str, Any] | None:
        """Return ``result.json``, which marks a run that is over, or None where there is none that can be read."""
        try:
            result = self._read_result()
        except (OSError, ValueError):
            return None
        for key in (HASHES, ATTEMPT):
            result.pop(key, None)
        return result

    def hashed(self) -> set[str]:
        """Return the names of the files whose SHA-256 the result holds.

        Raises:
            OSError, ValueError: the result cannot be read.
        """
        return {Path(name).name for name in self._read_result().get(HASHES, {})}

    def finish(
        self, result: dict[str, Any], arrays: dict[str, np.ndarray], hashes: Mapping[str, str] | None = None
    ) -> None:
        """Write ``samples.npz``, then ``result.json``, and remove the error of an earlier try.

        ``hashes`` are the SHA-256 of other files of the run as they were written, by name; by default the records'.
        """
        records, samples = self.path / RECORDS, self.path / "samples.npz"
        hashes = dict(hashes or ({RECORDS: sha256_of_file(records)} if records.exists() else {}))
        if arrays:
            content = npz_bytes(arrays)
            write_bytes(samples, content)
            hashes[samples.name] = hashlib.sha256(content).hexdigest()
        self._publish({**result, HASHES: hashes})
        self.error.unlink(missing_ok=True)
        self.heartbeat.remove()

    def _publish(self, result: dict[str, Any]) -> None:
        write_sealed(self._result, result, self._named(self._result))

    def drop_checkpoints(self) -> None:
        """Remove the checkpoints, which nothing reads once the run is over."""
        for path in (self.previous_checkpoint, self.checkpoint):
            path.unlink(missing_ok=True)

    def remove_leftovers(self) -> None:
        """Remove what a crash left: temporary files, and checkpoints that a run that is over has no use for.

        The folder is left as it is while a process holds its lock, and where nothing may be removed.
        """
        with suppress(OSError):
            found = {entry.name for entry in os.scandir(self.path)}
            # Without its networks, as those of earlier versions, a run has its weights in the checkpoint alone.
            is_over = {self._result.name, "networks.pt"} <= found
            dropped = is_over and {self.checkpoint.name, self.previous_checkpoint.name} & found
            if not dropped and not any(name.startswith(".") for name in found):
                return
            with lock(self._lock, wait=False) as is_free:
                if is_free:
                    remove_temporaries(self.path, is_locked=True)
                    if dropped and self.status() in OVER and not self.keeps_checkpoints():
                        self.drop_checkpoints()

    def keeps_checkpoints(self) -> bool:
        """Say whether the checkpoints stay once the run is over."""
        return any(origin.get(CHECKPOINTS_KEPT) for origin in self.origins()[-1:])

    def damage(self, *, networks: bool = False) -> list[tuple[Path, str]]:
        """Return the files of a run that is over that are missing or not as they were written, each with the reason.

        ``networks.pt``, which is large and not reported, is checked only if ``networks``.

        Raises:
            OSError: a file is there and cannot be opened.
        """
        return self._checked(networks=networks)[0]

    def _checked(self, *, networks: bool = False) -> tuple[list[tuple[Path, str]], dict[str, Any]]:
        """Return the `damage` of a run, and its result with what `result` leaves out; empty where it is not over."""
        if not self.is_over():
            return [], {}
        is_moving = bool(self.attempts())
        found, result = self._damage(self.place if is_moving else self.path.joinpath, networks=networks)
        # Processes that look may be moving the files meanwhile: what is found twice is so.
        before = None
        while found and is_moving and found != before:
            before = found
            found, result = self._damage(self.place, networks=networks)
        return found, result

    def _damage(self, place: Callable[[str], Path], *, networks: bool) -> tuple[list[tuple[Path, str]], dict[str, Any]]:
        found: list[tuple[Path, str]] = []

        def check(path: Path, read: Callable[[], Any]) -> Any:
            try:
                return read()
            except (OSError, ValueError) as error:
                if not is_damage(error):
                    raise
                found.append((path, first_line(error)))

        result = check(self._result, self._read_result) or {}
        if (path := place("run.json")).exists():
            check(path, lambda: self._own_definition(path))
        if HASHES not in result:
            # Of an earlier version, or damaged itself.
            check(self._records, self.records)
        for name, expected in result.get(HASHES, {}).items():
            name = name.rpartition("/")[2]
            if name == "networks.pt" and not networks:
                continue
            path = place(name)
            actual = check(path, lambda path=path: sha256_of_file(path))  # type: ignore[misc]
            if actual not in (None, expected):
                found.append((path, f"its SHA-256 is {actual[:SHOWN]}, that of {self._result.name} {expected[:SHOWN]}"))
        return found, result

    def set_aside_damage(self) -> list[str]:
        """Rename the damaged files of a run that is over, and its result; the run is made again. Return a warning."""
        damaged = self.damage()
        if not damaged:
            return []
        kept = self.checkpoint.exists() or self.previous_checkpoint.exists()
        # Without a checkpoint the run starts again, and would remove its records. The result is last: it marks the run
        # as over, so that after a crash in between the rest is set aside.
        paths = [path for path, _ in damaged] + ([] if kept else [self._records]) + [self._result]
        renamed = [set_aside(path).name for path in dict.fromkeys(paths) if path.exists()]
        path, reason = damaged[0]
        return [f"{path}: {reason}; the run is made again, and these are set aside: {', '.join(renamed)}"]

    def _own_definition(self, path: Path) -> dict[str, Any]:
        definition = read_sealed(path, self._named(path))
        if definition.get("id", self.run_id) != self.run_id:
            raise ValueError(f"it is that of run {definition['id']}")
        return definition

    def fail(self, reason: str) -> None:
        """Write ``error.txt``: why the run failed. On a full disk nothing is written."""
        with suppress(OSError):
            write_text(self.error, reason.rstrip() + "\n")

    def samples(self) -> dict[str, np.ndarray] | None:
        """Return the arrays that the run saved for the report, or None; nothing in the file is executed."""
        try:
            # NumPy leaves a damaged file open that it opened itself.
            with open_regular(self._samples) as file, np.load(file, allow_pickle=False) as archive:
                return dict(archive)
        except Exception:
            # Damaged bytes make zip, zlib and NumPy raise nearly anything; the report then has no pictures of the run.
            return None

    def status(self, *, is_claimed: bool = False) -> Status:
        """Return the status of the run, from its files, and whether a process that joined the sweep has claimed it."""
        damaged, result = self._checked()
        return "damaged" if damaged else self._status(result, is_claimed=is_claimed)

    def status_if_sound(self) -> Status:
        """Return the status of a run that has no `damage`, which takes long to find: every file is read for it."""
        return self._status(self.result())

    def _status(self, result: Mapping[str, Any] | None, *, is_claimed: bool = False) -> Status:
        if result:
            return "diverged" if result["status"] == "diverged" else "finished"
        if self.is_locked():
            return "running"
        # A process that joined keeps the claim on a run that has failed, so that it does not fail again.
        if self.error.exists():
            return "failed"
        return "running" if is_claimed else "waiting"

    @contextmanager
    def writing(self, *, wait: bool = True) -> Iterator[bool]:
        """Make the folder and hold its lock for a block, which without ``wait`` gets False where `holder` holds it."""
        self.path.mkdir(parents=True, exist_ok=True)
        sync_folder(self.path.parent)
        with lock(self._lock, wait=wait, signed=True) as is_held:
            if is_held:
                remove_temporaries(self.path, is_locked=True)
            yield is_held

    def holder(self) -> str:
        """Return which process holds the lock of the folder, where it is locked."""
        return lock_holder(self._lock)

    def is_locked(self) -> bool:
        """Say whether a process that may be alive holds the lock of the folder. Nothing is locked to find out."""
        return is_held(self._lock)
